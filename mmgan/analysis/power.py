"""The number of paired seeds that a comparison needs: power of the t test behind `paired_difference`."""

import math
from bisect import bisect_left

import numpy as np
from scipy import optimize, stats

from mmgan.errors import UserError

MOST_PAIRS = 100_000
QUANTILES = 4000


def power(effect: float, sd: float, n: int, confidence: float = 0.95) -> float:
    """The probability that the interval of n paired differences excludes 0, if their mean is `effect`.

    Args:
        effect: mean difference.
        sd: deviation of the differences over seeds, above 0, in the same unit.
        n: pairs, 2 or more.
        confidence: of the interval.
    """
    # The mean is normal, the estimated deviation a chi; summed over quantiles of the latter, since scipy's noncentral t
    # is NaN for few pairs and large effects.
    quantiles = (np.arange(QUANTILES) + 0.5) / QUANTILES
    limit = stats.t.ppf((1 + confidence) / 2, df=n - 1) * np.sqrt(stats.chi2.ppf(quantiles, df=n - 1) / (n - 1))
    shift = abs(effect) / sd * math.sqrt(n)
    return float(np.mean(stats.norm.cdf(shift - limit) + stats.norm.cdf(-shift - limit)))


def pairs_needed(effect: float, sd: float, wanted: float = 0.8, confidence: float = 0.95) -> int:
    """The smallest number of pairs that show `effect` with probability `wanted`.

    Raises:
        UserError: for an effect of 0 or a deviation that is not above 0, or if more than 100,000 pairs were needed.
    """
    if not (abs(effect) > 0 and sd > 0):
        raise UserError(f"no number of seeds shows an effect of {effect} at a deviation of {sd}: both must be above 0")
    if power(effect, sd, MOST_PAIRS, confidence) < wanted:
        raise UserError(f"an effect of {effect} at a deviation of {sd} needs more than {MOST_PAIRS:,} pairs of seeds")
    counts = range(2, MOST_PAIRS + 1)  # power grows with n
    return counts[bisect_left(counts, wanted, key=lambda n: power(effect, sd, n, confidence))]


def detectable_effect(sd: float, n: int, wanted: float = 0.8, confidence: float = 0.95) -> float:
    """The smallest mean difference that n pairs show with probability `wanted`, in the unit of `sd`."""
    if sd <= 0:
        return 0.0
    root: float = optimize.brentq(lambda effect: power(effect, 1.0, n, confidence) - wanted, 0.0, 1e3)
    return root * sd
