"""What a figure shows, without how it is drawn: one pair of axes a chart.

Values are plain numbers; None stands for a missing one and is not drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Values = Sequence[float | None]

Look = Literal["line", "dots", "reference"]


@dataclass(frozen=True)
class Line:
    """Points of one name, joined in the order of x.

    Attributes:
        name: for the legend; "" leaves it out.
        x, y: (n,) each.
        low, high: (n,) each: a band around the line; None: there is none.
        errors: (n,) pairs of a low and a high end, or None where there is none: a bar through each point.
        look: "line" joins the points, "dots" joins and marks them, "reference" is dashed and grey.
    """

    name: str
    x: Sequence[float]
    y: Values
    low: Values | None = None
    high: Values | None = None
    errors: Sequence[tuple[float, float] | None] | None = None
    look: Look = "line"


@dataclass(frozen=True)
class Bars:
    """Bars from 0 up, side by side.

    Attributes:
        name: for the legend; "" leaves it out.
        edges: (n + 1,), ascending.
        heights: (n,).
    """

    name: str
    edges: Sequence[float]
    heights: Values


@dataclass(frozen=True)
class Chart:
    """One pair of numeric axes.

    Attributes:
        x_label, y_label: with units.
        lines, bars: what is drawn; bars lie behind lines.
        x_range, y_range: the ends of the axes; None: those of the values, with a margin.
        y_log: a logarithmic y axis; values that are not positive are not drawn.
        whole_x: x are whole numbers (steps, epochs), so that no tick stands between two.
    """

    x_label: str
    y_label: str
    lines: Sequence[Line] = ()
    bars: Bars | None = None
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    y_log: bool = False
    whole_x: bool = False


@dataclass(frozen=True)
class Row:
    """One line of a `Rows` chart.

    Attributes:
        name: of the row.
        bar: the end of a bar from 0.
        box: five ascending numbers: whisker, quartile, median, quartile, whisker.
        dot: a point.
        interval: the ends of the interval of the dot.
        faint: single values behind the dot.
        text: stands at the right of the name.
    """

    name: str
    bar: float | None = None
    box: Sequence[float] | None = None
    dot: float | None = None
    interval: tuple[float, float] | None = None
    faint: Sequence[float] = ()
    text: str = ""


@dataclass(frozen=True)
class Rows:
    """Named rows above one numeric axis.

    Attributes:
        x_label: with its unit.
        rows: from the top down.
        reference: where a dashed line stands; None: nowhere.
        x_range: the ends of the axis; None: those of the values, with a margin.
    """

    x_label: str
    rows: Sequence[Row]
    reference: float | None = None
    x_range: tuple[float, float] | None = None
