"""Sampling error of the Frechet distance, from its influence functions.

To first order, one more fake x moves the distance between N(m1, C1) and N(m2, C2) by psi(x) / n with

    psi(x) = 2 (m1 - m2).(x - m1) + (x - m1)^T (I - T) (x - m1) - its mean,

where T = C1^(-1/2) (C1^(1/2) C2 C1^(1/2))^(1/2) C1^(-1/2) is the optimal transport from N(0, C1) to N(0, C2), the
derivative of the trace term. Reals move it by the same formula with the sides swapped, whose transport is T^(-1).
"""

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from mmgan.errors import UserError
from mmgan.scoring.frechet import Array, Moments

ROWS = 4096


def frechet_influences(
    fake: Float32[Tensor, "n d"], fake_moments: Moments, real: Float32[Tensor, "m d"], real_moments: Moments
) -> tuple[Array, Array]:
    """psi of each fake (n,) and of each real (m,); both have mean 0.

    Raises:
        UserError: where a covariance is rank-deficient, which has no such derivative.
    """
    if fake_moments.rank_deficient or real_moments.rank_deficient:
        raise UserError("a Frechet distance has no interval unless there are more images than features on both sides")
    difference = fake_moments.mean - real_moments.mean  # (d,)
    root, inverse_root = _roots(fake_moments.covariance)
    between, inverse_between = _roots(root @ real_moments.covariance @ root)
    there, back = inverse_root @ between @ inverse_root, root @ inverse_between @ root  # (d, d), inverses
    return (
        _influence(fake, fake_moments.mean, difference, there),
        _influence(real, real_moments.mean, -difference, back),
    )


def sampling_deviation(fakes: Array, reals: Array, weights: Array | None = None) -> float:
    """Standard deviation of a distance with these influences.

    Args:
        fakes, reals: from `frechet_influences`.
        weights: of each fake, (n,), where they do not all count 1 / n.
    """
    squares = 1 / len(fakes) if weights is None else float(weights @ weights)
    return float(np.sqrt(fakes.var(ddof=1) * squares + reals.var(ddof=1) / len(reals)))


def _influence(x: Float32[Tensor, "n d"], mean: Array, difference: Array, transport: Array) -> Array:
    parts = []
    form = np.eye(len(mean)) - transport
    for block in torch.split(x, ROWS):
        centred = block.numpy() - mean  # (rows, d), float64
        parts.append(2 * centred @ difference + ((centred @ form) * centred).sum(1))
    psi = np.concatenate(parts)  # (n,)
    centred_psi: Array = psi - psi.mean()
    return centred_psi


def _roots(covariance: Array) -> tuple[Array, Array]:
    """The symmetric square root and its inverse; directions without variance stay without."""
    from scipy.linalg import eigh  # here: it takes half a second

    values, vectors = eigh(covariance)
    kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
    scale = np.sqrt(values[kept])
    vectors = vectors[:, kept]
    return (vectors * scale) @ vectors.T, (vectors / scale) @ vectors.T
