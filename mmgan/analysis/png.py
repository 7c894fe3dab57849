"""Figures as PNG without the library's version in it: the same figure is the same file."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def png_bytes(figure: "Figure", dots_per_inch: int) -> bytes:
    """The figure as the content of a PNG file."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dots_per_inch, metadata={"Software": None})
    return out.getvalue()


def save_png(figure: "Figure", path: str | Path, dots_per_inch: int) -> None:
    """Write the figure to `path`."""
    Path(path).write_bytes(png_bytes(figure, dots_per_inch))
