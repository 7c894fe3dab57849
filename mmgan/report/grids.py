"""Sample grids, small enough to embed in a page."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image

from mmgan.data.decode import UnreadableImage, ignoring_warnings, load_image
from mmgan.errors import UserError

Item = TypeVar("Item")

STRIP = 6
"""The most earlier grids to show."""

LARGEST = 400_000
"""Size in bytes up to which a PNG is embedded unchanged."""


def evenly_spaced(items: Sequence[Item], most: int) -> list[Item]:
    """At most `most` of the items, evenly spaced and in order, including the first and the last."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def whole_grid(path: Path) -> tuple[bytes, str]:
    """The file itself, or a JPEG of at most 1024 pixels a side where it is large; with its media type."""
    if path.stat().st_size <= LARGEST:
        _ = _open(path)
        return path.read_bytes(), "image/png"
    return small_grid(path, 1024)


def small_grid(path: Path, side: int = 320) -> tuple[bytes, str]:
    """A JPEG of at most `side` pixels a side, with its media type."""
    image = _open(path).convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, format="JPEG", quality=88)
    return out.getvalue(), "image/jpeg"


def _open(path: Path) -> Image.Image:
    try:
        with ignoring_warnings():
            return load_image(path.read_bytes(), formats=("PNG",))
    except (UnreadableImage, OSError) as error:
        raise UserError(f"{path} cannot be read as an image ({error}): remove it and report again") from None
