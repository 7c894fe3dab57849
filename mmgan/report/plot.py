"""From a chart to the shapes that the template draws, in pixels."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from mmgan.report.axes import Scale, Tick, ends_of
from mmgan.report.chart import Bars, Chart, Line

WIDTH, HEIGHT = 380, 236
"""Of a figure, in pixels at its natural size."""

TOP, BOTTOM, RIGHT = 22, 36, 12
CHARACTER = 6.4
"""Width of a digit in pixels, a little more than it needs."""

COLOURS = 6
"""Number of colours in the style sheet; further lines begin again."""

POINTS = 40
"""Up to this many points of a line are marked."""


@dataclass(frozen=True)
class Shape:
    """One shape: a polyline, polygon, rectangle, dot or stroke, with the class that colours it."""

    kind: str  # "polyline", "polygon", "rect", "dot", "stroke"
    style: str  # CSS classes
    points: str = ""  # of a polyline or polygon: "x,y x,y"
    at: tuple[float, ...] = ()  # rect: x, y, width, height; dot: x, y; stroke: x1, y1, x2, y2
    title: str = ""  # shown where the pointer rests


@dataclass(frozen=True)
class Plot:
    """A figure in pixels; shapes are cut off at the edges of the plotting area."""

    left: float
    width: float  # of the plotting area
    height: float  # of the plotting area
    total: float  # height of the figure
    x_label: str
    y_label: str
    x_ticks: list[Tick]
    y_ticks: list[Tick] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    legend: list[tuple[str, str]] = field(default_factory=list)  # style and name

    top, full = TOP, WIDTH


def plot(chart: Chart) -> Plot:
    """The shapes of a chart."""
    height = HEIGHT - TOP - BOTTOM
    y_range = chart.y_range or _y_ends(chart)
    y = Scale(*y_range, height, 0, chart.y_log)
    y_ticks = y.ticks(5)
    left = max(26.0, 12 + CHARACTER * max((len(tick.text) for tick in y_ticks), default=0))
    width = WIDTH - left - RIGHT
    x_range = chart.x_range or ends_of(_x_values(chart), margin=0.02)
    x = Scale(*x_range, 0, width)
    shapes: list[Shape] = []
    legend: list[tuple[str, str]] = []
    if chart.bars is not None:
        shapes += _bars(chart.bars, x, y)
        legend.append(("bar", chart.bars.name))
    styles = _styles(chart.lines)
    for line, style in zip(chart.lines, styles, strict=True):
        shapes += _line(line, style, x, y)
        legend.append((style, line.name))
    named = [(style, name) for style, name in legend if name]
    ticks = x.ticks(5, whole=chart.whole_x)
    alone = len(legend) == 1 and chart.bars is None
    return Plot(
        left, width, height, HEIGHT, chart.x_label, chart.y_label, ticks, y_ticks, shapes, [] if alone else named
    )


def _styles(lines: Iterable[Line]) -> Iterator[str]:
    colour = 0
    for line in lines:
        if line.look == "reference":
            yield "reference"
        else:
            yield f"c{colour % COLOURS}"
            colour += 1


def _x_values(chart: Chart) -> list[float]:
    edges = [] if chart.bars is None else list(chart.bars.edges)
    return edges + [x for line in chart.lines for x, y in zip(line.x, line.y, strict=True) if y is not None]


def _y_ends(chart: Chart) -> tuple[float, float]:
    values: list[float | None] = []
    for line in chart.lines:
        values += [*line.y, *(line.low or ()), *(line.high or ())]
        values += [end for ends in line.errors or () if ends is not None for end in ends]
    low, high = ends_of((v for v in values if v is not None), log=chart.y_log) if values else (0.0, 0.0)
    if chart.bars is None:
        return low, high
    top = max([high, *(h for h in chart.bars.heights if h is not None)])
    return min(0.0, low if values else 0.0), 1.05 * top or 1.0


def _bars(bars: Bars, x: Scale, y: Scale) -> Iterator[Shape]:
    ground = y(0.0)
    for (low, high), value in zip(pairwise(bars.edges), bars.heights, strict=True):
        if value is not None:
            left, right, top = x(low), x(high), y(value)
            at = (left + 0.5, top, round(max(0.5, right - left - 1), 1), round(max(0.0, ground - top), 1))
            yield Shape("rect", "bar", at=at, title=f"{low:.4g} to {high:.4g}: {value:.4g}")


def _line(line: Line, style: str, x: Scale, y: Scale) -> Iterator[Shape]:
    if line.low is not None and line.high is not None:
        ends = [
            (at, low, high)
            for at, low, high in zip(line.x, line.low, line.high, strict=True)
            if low is not None and high is not None
        ]
        around = [(x(at), y(high)) for at, _, high in ends] + [(x(at), y(low)) for at, low, _ in reversed(ends)]
        yield Shape("polygon", f"{style} band", _points(around))
    known = [
        (at, value)
        for at, value in zip(line.x, line.y, strict=True)
        if value is not None and math.isfinite(value) and (value > 0 or not y.log)
    ]
    if len(known) > 1:
        yield Shape("polyline", style, _points((x(at), y(value)) for at, value in known))
    for at, ends_at in zip(line.x, line.errors or (), strict=False):
        if ends_at is not None:
            yield Shape("stroke", style, at=(x(at), y(ends_at[0]), x(at), y(ends_at[1])))
    if line.look == "dots" or (line.look == "line" and len(known) <= POINTS):
        for at, value in known:
            yield Shape("dot", style, at=(x(at), y(value)), title=f"{line.name} {at:,.6g}: {value:.4g}".strip())


def _points(pairs: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{a:g},{b:g}" for a, b in pairs)
