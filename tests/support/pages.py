"""Reads a page of mmgan as a stranger would: elements, words, rows of tables, figures and their axes."""

import base64
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "img", "br"}

Attributes = dict[str, str]


@dataclass
class Figure:
    """A figure: its shapes in pixels, and what turns them back into values."""

    shapes: list[tuple[str, Attributes]] = field(default_factory=list)
    ticks: dict[str, list[tuple[float, str]]] = field(default_factory=lambda: {"x": [], "y": []})
    area: tuple[float, float] = (0.0, 0.0)  # its left and top
    words: list[str] = field(default_factory=list)
    images: int = 0

    def polyline(self, style: str) -> list[tuple[float, float]]:
        """The points of the line of this class, as values of the axes that the ticks tell."""
        (found,) = [at for name, at in self.shapes if name == "polyline" and at["class"] == style]
        pairs = [pair.split(",") for pair in found["points"].split()]
        return [(self.value("x", float(x)), self.value("y", float(y))) for x, y in pairs]

    def value(self, axis: str, pixel: float) -> float:
        """What a pixel inside the plotting area stands for, from the first and the last tick of its axis."""
        (a, low), *_, (b, high) = self.ticks[axis]
        first, last = float(low.replace(",", "")), float(high.replace(",", ""))
        at = pixel + self.area[axis == "y"]
        return first + (at - a) / (b - a) * (last - first)

    @property
    def text(self) -> str:
        return " ".join(self.words)


class Page(HTMLParser):
    """Reads a page strictly: elements close in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, Attributes]] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.images: list[bytes] = []
        self.rows: list[list[str]] = []
        self.words: list[str] = []
        self.headings: list[str] = []
        self.figures: dict[str, Figure] = {}
        self.policy = ""
        self.style = ""
        self._figure: Figure | None = None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append((tag, at))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if at.get("http-equiv") == "Content-Security-Policy":
            self.policy = at["content"]
        for name, value in at.items():
            if name in ("src", "href", "action", "srcset") or name.startswith("on"):
                self.links.append(value)
                if value.startswith("data:image/"):
                    self.images.append(base64.b64decode(value.partition(",")[2], validate=True))
        if tag == "figure":
            self._figure = Figure()
        elif self._figure is not None:
            self._of_figure(self._figure, tag, at)

    def _of_figure(self, figure: Figure, tag: str, at: Attributes) -> None:
        if tag == "img":
            figure.images += 1
        elif tag == "svg" and at.get("class") == "area":
            figure.area = float(at["x"]), float(at["y"])
        elif tag in ("polyline", "polygon", "rect", "circle", "line") and self._inside("area"):
            figure.shapes.append((tag, at))

    def _inside(self, style: str) -> bool:
        return any(at.get("class") == style for _, at in self.open)

    def handle_endtag(self, tag: str) -> None:
        name, _ = self.open.pop()
        assert name == tag
        if tag == "figure":
            self._figure = None

    def handle_data(self, data: str) -> None:
        inside = [tag for tag, _ in self.open]
        if "style" in inside:
            self.style += data
            return
        data = data.strip()
        if not data:
            return
        self.words.append(data)
        if "td" in inside or "th" in inside:
            self.rows[-1][-1] += data
        if inside[-1] == "h2":
            self.headings.append(data)
        if self._figure is not None:
            if "h3" in inside:
                assert data not in self.figures, f"two figures of one title: {data}"
                self.figures[data] = self._figure
            self._figure.words.append(data)
            tag, at = self.open[-1]
            if tag == "text" and at["class"].startswith("tick "):
                axis = at["class"].removeprefix("tick ")
                # The text of a y tick stands 4 pixels below its line.
                self._figure.ticks[axis].append((float(at[axis]) - 4 * (axis == "y"), data))

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def row(self, name: str) -> list[str]:
        """The table's row of this name."""
        (row,) = [row for row in self.rows if row and row[0] == name]
        return row


def read_page(path: Path) -> Page:
    """The page in a file."""
    return Page(path.read_text(encoding="utf-8"))
