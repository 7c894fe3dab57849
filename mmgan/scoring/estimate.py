"""A score with its sampling error."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A score and how far it would vary over other samples of the same sizes.

    Attributes:
        value: computed from all images.
        deviation: standard deviation of the value; None where it was not asked for.
        freedom: Student's degrees of freedom of that deviation.
    """

    value: float
    deviation: float | None = None
    freedom: float = math.inf

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """value -+ t * deviation. It is meant to hold the score's mean at these numbers of images.

        The bias that scores such as FID have at these numbers is no part of it.

        Raises:
            ValueError: without a deviation.
        """
        from scipy.stats import t  # here: it takes half a second

        if self.deviation is None:
            raise ValueError("an estimate without deviation has no interval")
        half = float(t.ppf((1 + level) / 2, self.freedom)) * self.deviation
        return self.value - half, self.value + half
