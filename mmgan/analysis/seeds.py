"""Statistics over seeds: two arms that share their seeds are compared seed by seed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mmgan.errors import UserError


@dataclass(frozen=True)
class PairedDifference:
    """The difference a - b over n paired seeds.

    Attributes:
        n: number of pairs.
        mean: mean difference.
        sd: sample standard deviation of the differences (n - 1).
        low, high: Student's t interval of the mean difference.
        confidence: coverage of the interval, in (0, 1).
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    confidence: float


def paired_difference(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> PairedDifference:
    """Mean, deviation and t interval of a - b, where a[i] and b[i] come from the same seed.

    The interval assumes normally distributed differences; with few seeds it is wide, as it should be. Differences that
    are all equal give an interval of no width.

    Raises:
        UserError: for fewer than two pairs, unequal lengths, values that are not finite, or a confidence not in (0, 1).
    """
    if len(a) != len(b):
        raise UserError(f"{len(a)} and {len(b)} values cannot be paired: give one of each for every seed")
    if len(a) < 2:
        raise UserError(f"{len(a)} pair(s) of seeds leave no deviation to estimate: give two or more")
    if not 0 < confidence < 1:
        raise UserError(f"confidence {confidence} is not between 0 and 1: 0.95 is usual")
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    if not np.isfinite(differences).all():
        raise UserError("a value is NaN or infinite: leave that pair of seeds out, and say so")
    n, mean, sd = len(differences), float(differences.mean()), float(differences.std(ddof=1))
    half = float(stats.t.ppf((1 + confidence) / 2, df=n - 1)) * sd / math.sqrt(n)
    return PairedDifference(n, mean, sd, mean - half, mean + half, confidence)
