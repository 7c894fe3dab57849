"""Statistics over seeds: two arms that share their seeds are compared seed by seed."""

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
    low, high = mean_interval(differences, confidence)
    mean, sd = float(differences.mean()), float(differences.std(ddof=1))
    return PairedDifference(len(differences), mean, sd, low, high, confidence)


def mean_interval(values: Sequence[float] | np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean of two or more values; of no width if they are all equal."""
    mean, error = float(np.mean(values)), float(stats.sem(values))
    if error == 0:
        return mean, mean
    low, high = stats.t.interval(confidence, len(values) - 1, mean, error)
    return float(low), float(high)
