"""What a page holds, without how it looks. Every text is plain: the templates escape it."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mmgan.report.chart import Chart, Rows
from mmgan.report.plot import Plot, plot
from mmgan.report.row_plot import row_plot


@dataclass(frozen=True)
class Picture:
    """An image that is embedded in the page.

    Attributes:
        data: the file's content.
        mime: its media type.
        alt: what it shows, for who cannot see it.
    """

    data: bytes
    mime: str
    alt: str

    @property
    def source(self) -> str:
        return f"data:{self.mime};base64,{base64.b64encode(self.data).decode('ascii')}"


@dataclass(frozen=True)
class Panel:
    """One figure: a chart or a picture under its title, or a sentence that says why there is none.

    Attributes:
        title: of the figure.
        shown: the chart or picture; a text stands for it where it is absent.
        caption: below it.
        link: a page that the title leads to; "": none.
    """

    kind: ClassVar[str] = "panel"
    title: str
    shown: Chart | Rows | Picture | str
    caption: str = ""
    link: str = ""

    @property
    def plot(self) -> Plot | None:
        """The chart in pixels; None for anything else."""
        if isinstance(self.shown, Chart):
            return plot(self.shown)
        return row_plot(self.shown) if isinstance(self.shown, Rows) else None

    @property
    def picture(self) -> Picture | None:
        return self.shown if isinstance(self.shown, Picture) else None

    @property
    def absent(self) -> str:
        return self.shown if isinstance(self.shown, str) else ""


@dataclass(frozen=True)
class Panels:
    """Figures side by side, as many as have room. `look`: "charts", "pictures" or "strip" (small pictures)."""

    kind: ClassVar[str] = "panels"
    panels: Sequence[Panel]
    look: str = "charts"


@dataclass(frozen=True)
class Table:
    """A table whose first column names the row. `look`: a class of the style sheet."""

    kind: ClassVar[str] = "table"
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    look: str = ""


@dataclass(frozen=True)
class Note:
    """A paragraph. `look`: "quiet", or "warning"."""

    kind: ClassVar[str] = "note"
    text: str
    look: str = "quiet"


@dataclass(frozen=True)
class Lines:
    """Lines of a terminal."""

    kind: ClassVar[str] = "lines"
    text: str


@dataclass(frozen=True)
class Settings:
    """Names and values, in columns. `look`: "settings" or "facts"."""

    kind: ClassVar[str] = "definitions"
    values: Mapping[str, str]
    look: str = "settings"


Block = Panels | Table | Note | Lines | Settings


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A whole page."""

    title: str
    facts: Mapping[str, str]
    sections: Sequence[Section]
