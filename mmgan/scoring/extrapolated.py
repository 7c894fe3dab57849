"""The Frechet distance extrapolated to infinitely many samples (Chong and Forsyth 2020, Section 3.1)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float32
from torch import Tensor

from mmgan.draws import numpy_stream
from mmgan.scoring.frechet import Array, Moments, frechet_distance, moments

POINTS = 15
"""Sizes at which the distance is computed, as published."""

SMALLEST = 5000
"""Samples at the smallest size, as published; half of the samples where that is fewer."""


@dataclass(frozen=True, eq=False)
class Extrapolated:
    """The intercept of a line through the distances of random subsets over 1 / their size.

    Attributes:
        value: the intercept.
        weights: how much each fake counts in it to first order, (n,), 1 in sum; for its sampling error.
        sizes: of the subsets, (POINTS,).
    """

    value: float
    weights: Array
    sizes: npt.NDArray[np.int64]


def frechet_extrapolated(fake: Float32[Tensor, "n d"], real: Moments, seed: int) -> Extrapolated:
    """The distance that infinitely many fakes would have to the same reals, whose own bias stays.

    Args:
        fake: n >= 4; subsets no larger than d are rank-deficient, and the line then does not fit.
        real: its moments are taken as they are.
        seed: of the subsets.
    """
    n = len(fake)
    sizes = np.linspace(min(SMALLEST, n // 2), n, POINTS).astype(np.int64)
    X = np.column_stack([np.ones(POINTS), 1 / sizes])
    intercept = np.linalg.pinv(X)[0]  # (POINTS,): the least-squares intercept as a weighted sum
    weights, distances = np.zeros(n), []
    for i, size in enumerate(sizes):
        rows = numpy_stream(seed, "frechet-subsets", step=i).permutation(n)[:size]
        distances.append(frechet_distance(moments(fake[rows]), real))
        weights[rows] += intercept[i] / size
    return Extrapolated(float(intercept @ distances), weights, sizes)
