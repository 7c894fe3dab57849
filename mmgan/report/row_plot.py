"""From named rows to the shapes that the template draws, in pixels."""

from collections.abc import Iterator
from dataclasses import dataclass

from mmgan.report.axes import Scale, ends_of
from mmgan.report.chart import Row, Rows
from mmgan.report.plot import BOTTOM, RIGHT, WIDTH, Plot, Shape

ROW, NAME, LEFT = 34, 15, 10
"""Height of a row and of the name above its marks, and the margin, in pixels."""

LONGEST = 46
"""Characters of a name that have room; a longer one is cut, and whole where the pointer rests."""


@dataclass(frozen=True)
class Name:
    """A row's name, and what stands at the right end."""

    y: float
    text: str
    whole: str
    right: str


@dataclass(frozen=True)
class RowPlot(Plot):
    """A figure of rows."""

    names: tuple[Name, ...] = ()

    top = 4


def row_plot(chart: Rows) -> RowPlot:
    """The shapes of the rows."""
    width, height = WIDTH - LEFT - RIGHT, ROW * len(chart.rows) + 4
    x = Scale(*(chart.x_range or ends_of(_values(chart))), 0, width)
    shapes: list[Shape] = []
    names = []
    for i, row in enumerate(chart.rows):
        y = i * ROW + NAME + 10
        shapes += _row(row, x, y)
        if chart.reference is not None:  # not through the names
            at = x(chart.reference)
            shapes.append(Shape("stroke", "reference", at=(at, y - 9, at, y + 9)))
        cut = row.name if len(row.name) <= LONGEST else f"{row.name[: LONGEST - 1]}…"
        names.append(Name(i * ROW + 12, cut, row.name, row.text))
    ticks = x.ticks(5)
    return RowPlot(LEFT, width, height, height + 4 + BOTTOM, chart.x_label, "", ticks, [], shapes, [], tuple(names))


def _values(chart: Rows) -> Iterator[float]:
    if chart.reference is not None:
        yield chart.reference
    for row in chart.rows:
        if row.bar is not None:
            yield from (0.0, row.bar)
        if row.dot is not None:
            yield row.dot
        yield from (*(row.box or ()), *(row.interval or ()), *row.faint)


def _row(row: Row, x: Scale, y: float) -> Iterator[Shape]:
    if row.bar is not None:
        left, right = sorted((x(0.0), x(row.bar)))
        yield Shape("rect", "bar", at=(left, y - 6, round(right - left, 1), 12), title=f"{row.name}: {row.bar:.4g}")
    if row.box is not None:
        low, first, median, third, high = (x(value) for value in row.box)
        yield Shape("stroke", "c0", at=(low, y, high, y))
        title = f"{row.name}: {', '.join(f'{value:.4g}' for value in row.box)}"
        yield Shape("rect", "box", at=(first, y - 6, round(max(1.0, third - first), 1), 12), title=title)
        yield Shape("stroke", "median", at=(median, y - 6, median, y + 6))
    for value in row.faint:
        yield Shape("dot", "faint", at=(x(value), y))
    if row.interval is not None:
        low, high = (x(value) for value in row.interval)
        yield Shape("stroke", "c0", at=(low, y, high, y))
        for end in (low, high):
            yield Shape("stroke", "c0", at=(end, y - 4, end, y + 4))
    if row.dot is not None:
        yield Shape("dot", "mark", at=(x(row.dot), y), title=f"{row.name}: {row.dot:.4g}")
