"""A row of the speed table: a measured figure and its target."""

from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.timing import Estimate


@dataclass(frozen=True)
class Row:
    """One figure. Each part of the benchmarks is a module with `measure(device: str, quick: bool) -> list[Row]`.

    Attributes:
        what: name of the figure, with its setting.
        value: the figure.
        unit: "x" for ratios, "ms", "s", "us", "%", "MB", ...
        interval: the 95 % interval, or None if it was not estimated.
        at_most, at_least: the target. At most one of them is set.
        arithmetic: what the multiply-adds alone would make of the figure, or their number.
        headline: whether the README shows this row.
        detail: further values for the JSON: sizes, repetitions, CPU times.
    """

    what: str
    value: float
    unit: str
    interval: tuple[float, float] | None = None
    at_most: float | None = None
    at_least: float | None = None
    arithmetic: str = ""
    headline: bool = False
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Literal["met", "not met", "none"]:
        """Whether the figure meets its target."""
        if self.at_most is None and self.at_least is None:
            return "none"
        low = -float("inf") if self.at_least is None else self.at_least
        high = float("inf") if self.at_most is None else self.at_most
        return "met" if low <= self.value <= high else "not met"


def row_of(what: str, estimate: Estimate, unit: str, *, scale: float = 1.0, **rest: Any) -> Row:
    """Make the row of an estimate times `scale` (1e3 for seconds in ms). `rest` are further fields of Row."""
    return Row(what, estimate.value * scale, unit, (estimate.low * scale, estimate.high * scale), **rest)
