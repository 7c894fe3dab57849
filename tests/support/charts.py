"""Blank charts: drawing takes half of the time of a tiny run, and few tests look at one."""

import base64
from pathlib import Path
from typing import IO, Any
from unittest import mock

from matplotlib.backend_bases import FigureCanvasBase

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTjXXgAAAABJRU5ErkJggg==")
"""A PNG of one pixel."""


def _print_blank(canvas: FigureCanvasBase, filename: str | Path | IO[bytes], **_: Any) -> None:
    if isinstance(filename, str | Path):
        Path(filename).write_bytes(PIXEL)
    else:
        filename.write(PIXEL)


def blank_charts() -> Any:
    """A patch: no figure is drawn, and what is written in its place is a PNG of one pixel."""
    return mock.patch.object(FigureCanvasBase, "print_figure", _print_blank)
