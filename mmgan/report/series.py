"""Columns of metrics.jsonl, and few enough points of them for a figure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mmgan.report.axes import LARGEST, ends_of
from mmgan.report.chart import Chart, Line

Floats = npt.NDArray[np.float64]

POINTS = 120
"""The most points of a line: one for each three pixels of a figure."""

FEW = 200
"""Up to this many values, an axis shows all of them; of more it may leave out half a percent at each end."""


def column(rows: Sequence[Mapping[str, Any]], name: str) -> Floats:
    """One value a row, (n,); NaN where a row lacks it."""
    return np.array([row.get(name, math.nan) for row in rows], dtype=np.float64)


@dataclass(frozen=True)
class Thinned:
    """A column in groups of steps that follow each other.

    Attributes:
        at: (k,), the last step of each group.
        mean, low, high: (k,), over the values of the group that are known.
        group: steps in a group; the last one may have fewer.
    """

    at: Floats
    mean: Floats
    low: Floats
    high: Floats
    group: int


def group_size(count: int) -> int:
    """How many steps a point stands for, where there are `count`."""
    return max(1, -(-count // POINTS))


def thinned(steps: Floats, values: Floats) -> Thinned:
    """Groups of equal size, those without a known value left out.

    Args:
        steps, values: (n,).
    """
    group = group_size(len(steps))
    starts = np.arange(0, len(steps), group)
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = np.add.reduceat(np.where(known, values, 0.0), starts) / np.add.reduceat(known.astype(float), starts)
    low = np.minimum.reduceat(np.where(known, values, math.inf), starts)
    high = np.maximum.reduceat(np.where(known, values, -math.inf), starts)
    at = steps[np.minimum(starts + group, len(steps)) - 1]
    some = np.isfinite(mean)
    return Thinned(at[some], mean[some], low[some], high[some], group)


def curves(steps: Floats, columns: Mapping[str, Floats], x_label: str, y_label: str) -> Chart | None:
    """A line for each column that has a value, with the range of each group of steps as a band; None: none has one.

    Args:
        steps: (n,).
        columns: by name, (n,) each.
        x_label, y_label: of the axes.
    """
    known = {name: values for name, values in columns.items() if np.isfinite(values).any()}
    if not known:
        return None
    lines = []
    for name, values in known.items():
        thin = thinned(steps, values)
        band = (thin.low.tolist(), thin.high.tolist()) if thin.group > 1 else (None, None)
        lines.append(Line(name, thin.at.tolist(), thin.mean.tolist(), *band))
    return Chart(x_label, y_label, lines, y_range=_range(list(known.values())), whole_x=True)


def _range(columns: Sequence[Floats]) -> tuple[float, float]:
    """The ends of the y axis: single outliers of long runs lie beyond it."""
    ends: list[float] = []
    for values in columns:
        some = values[np.abs(values) < LARGEST]
        if not len(some):
            continue
        shares = [0, 100] if len(some) <= FEW else [0.5, 99.5]
        ends += np.percentile(some, shares).tolist()
    return ends_of(ends)


def how_drawn(chart: Chart, steps: Floats, what: str = "step") -> str:
    """What the lines of `curves` stand for, and whether some values lie beyond the axes.

    Args:
        chart: as `curves` made it.
        steps: (n,), as it was given.
        what: a row is called; its plural ends in s.
    """
    group = group_size(len(steps))
    text = f"Each {what}." if group == 1 else f"Lines: means of {group:,} {what}s each; bands: their range."
    if group == 1:
        return text
    assert chart.y_range is not None
    low, high = chart.y_range
    beyond = any(
        value is not None and not low <= value <= high
        for line in chart.lines
        for of in (line.low, line.high)
        for value in of or ()
    )
    return f"{text} Single outliers lie beyond the axes." if beyond else text
