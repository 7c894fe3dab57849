"""Scales and ticks of an axis."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

MARGIN = 0.05
"""Share of the range that is left free at each end of an axis."""

LARGEST = 1e300
"""Values from here on decide no axis: their differences may be infinite."""


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float  # in pixels
    text: str


@dataclass(frozen=True)
class Scale:
    """From values to pixels.

    Attributes:
        low, high: the values at the ends.
        start, end: their pixels.
        log: whether the axis is logarithmic.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value, rounded to a tenth; values beyond an end lie at most one length of the axis beyond."""
        low, high = self._of(self.low), self._of(self.high)
        share = min(2.0, max(-1.0, (self._of(value) - low) / (high - low)))
        return round(self.start + share * (self.end - self.start), 1)

    def _of(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def ticks(self, most: int, *, whole: bool = False) -> list[Tick]:
        """At most `most` round values inside the axis, two or more where there is room."""
        values = _powers(self.low, self.high, most) if self.log else _round_values(self.low, self.high, most, whole)
        step = min((b - a for a, b in pairwise(values)), default=1.0)
        return [Tick(self(value), f"{value:g}" if self.log else _text(value, step)) for value in values]


def ends_of(values: Iterable[float], *, margin: float = MARGIN, log: bool = False) -> tuple[float, float]:
    """The ends of an axis for these values; around a single value, and 0 to 1 where there is none."""
    known = [value for value in values if abs(value) < LARGEST and (value > 0 or not log)]
    if not known:
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = min(known), max(known)
    if log:
        return low / 1.25, high * 1.25
    pad = margin * (high - low) or 0.5 * abs(high) or 0.5
    return low - pad, high + pad


def _round_values(low: float, high: float, most: int, whole: bool) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / max(1, most)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if power * factor >= raw * (1 - 1e-9))
    if whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def _powers(low: float, high: float, most: int) -> list[float]:
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    if last - first < 1:  # within one power of ten: 1, 2 and 5 times it
        found = [10.0**k * f for k in range(first - 1, last + 1) for f in (1, 2, 5) if low <= 10.0**k * f <= high]
        return found or [low, high]
    every = -(-(last - first + 1) // most)
    return [10.0**k for k in range(first, last + 1, every)]


def _text(value: float, step: float) -> str:
    """With the digits that tell neighbours apart; thousands are set apart."""
    if value and (abs(value) >= 1e7 or step < 1e-5):
        return f"{value:.3g}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:z,.{digits}f}"
