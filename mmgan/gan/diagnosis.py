"""What training did to a discriminator: its logits, how it behaves from a fake image to a real one, its gradients.

Every measure is a function of tensors and callables. A discriminator is a callable, images (n, c, h, w) in [-1, 1] (and
classes, where it takes them) -> logits, a tensor or a nest of tensors. A row's logit is the mean over a map and the sum
over heads, as in the losses.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mmgan.mixing import MixPlan
from mmgan.outputs import per_row
from mmgan.regularizers.gradients import squared_gradients

Discriminator = Callable[..., Any]

Rows = tuple[Tensor, ...]
"""The discriminator's arguments, row by row: (x,), or (x, y) with classes."""

CHUNK = 64
"""Rows per forward, where nobody says otherwise."""


def logits_of(discriminator: Discriminator, rows: Rows, chunk: int = CHUNK) -> Float[Tensor, " n"]:
    """One logit a row, without gradients."""
    with torch.no_grad():
        return torch.cat([per_row(discriminator(*part), len(part[0])) for part in _chunks(rows, chunk)])


def overfitting(train: Float[Tensor, " n"], held_out: Float[Tensor, " m"], fake: Float[Tensor, " k"]) -> float | None:
    """r = (E D(train) - E D(held-out)) / (E D(train) - E D(fake)): ADA (arXiv 2006.06676), Section 3, Equation 1.

    0: held-out images look as real as training images. 1: D takes them for fakes.

    Args:
        train, held_out, fake: logits.

    Returns:
        r; None where training images and fakes have one mean, so that there is no scale.
    """
    on_train, on_held_out, on_fake = (float(logits.double().mean()) for logits in (train, held_out, fake))
    return None if on_train == on_fake else (on_train - on_held_out) / (on_train - on_fake)


def along_lam(
    net: Discriminator, layer: str, real: Rows, fake: Rows, lam: Float[Tensor, " l"], chunk: int = CHUNK
) -> Float[Tensor, "l n"]:
    """D where real row i and fake row i are mixed at a layer: lam * real + (1 - lam) * fake, for every lam.

    Args:
        net: a `Mixed` that was wrapped for this layer.
        layer: its name.
        real, fake: n rows each; classes must be equal pair by pair.
        lam: mixing coefficients.
        chunk: rows per forward.
    """
    found, pairs = [], max(1, chunk // len(lam))
    with torch.no_grad():
        for some_real, some_fake in zip(_chunks(real, pairs), _chunks(fake, pairs), strict=True):
            n, device = len(some_real[0]), some_real[0].device
            row = torch.arange(n, device=device).repeat(len(lam))  # (l * n,)
            plan = MixPlan(layer, row, n + row, lam.to(device).repeat_interleave(n), (n, n))
            both = [torch.cat(pair) for pair in zip(some_real, some_fake, strict=True)]  # (2n, ...) each
            found.append(per_row(net(*both, plan=plan, mode="alone"), len(plan)).view(len(lam), n))  # (l, n)
    return torch.cat(found, 1)


@dataclass(frozen=True)
class Straightness:
    """How far D is from the straight line between the logits of a fake and a real row.

    Attributes:
        deviation: mean of |D - line| over the inner lam and the pairs, in logits.
        relative_deviation: the same over the mean of |D(real) - D(fake)|, so that the scale of the logits does not
            matter; None where that is 0.
    """

    deviation: float
    relative_deviation: float | None


def straightness(logits: Float[Tensor, "l n"], lam: Float[Tensor, " l"]) -> Straightness:
    """The distance to the line from D at lam = 0 to D at lam = 1, pair by pair.

    Args:
        logits: as `along_lam` returns them.
        lam: from 0 to 1.
    """
    logits, lam = logits.double(), lam.to(logits.device).double()
    gap = logits[-1] - logits[0]  # (n,)
    line = logits[0] + lam[:, None] * gap  # (l, n)
    deviation, scale = float((logits - line)[1:-1].abs().mean()), float(gap.abs().mean())
    return Straightness(deviation, deviation / scale if scale else None)


def calibration(logits: Float[Tensor, "l n"], lam: Float[Tensor, " l"]) -> tuple[Float[Tensor, " l"], float]:
    """The mean of sigmoid(D) at every lam, and its mean distance to lam, the label of such a row (Appendix E).

    Args:
        logits: as `along_lam` returns them.
        lam: their mixing coefficients.
    """
    real = logits.double().sigmoid().mean(1)  # (l,)
    return real, float((real - lam.to(real.device).double()).abs().mean())


def gradient_norms(discriminator: Discriminator, rows: Rows, chunk: int = CHUNK) -> Float[Tensor, " n"]:
    """||grad_x D(x)|| of every row."""
    norms = []
    with torch.enable_grad():
        for x, *others in _chunks(rows, chunk):
            x = x.detach().clone().requires_grad_()
            (squared,) = squared_gradients((discriminator(x, *others), x))
            norms.append(squared.detach().sqrt())
    return torch.cat(norms)


def gradient_along_lam(
    discriminator: Discriminator, real: Rows, fake: Rows, lam: Float[Tensor, " l"], chunk: int = CHUNK
) -> Float[Tensor, " l"]:
    """The mean of ||grad_x D|| at lam * real + (1 - lam) * fake, in pixels, for every lam: fakes, between, data."""
    points = ((torch.lerp(fake[0], real[0], at), *real[1:]) for at in lam.tolist())
    return torch.stack([gradient_norms(discriminator, rows, chunk).mean() for rows in points])


def _chunks(rows: Rows, size: int) -> Iterator[Rows]:
    return zip(*(torch.split(values, size) for values in rows), strict=True)
