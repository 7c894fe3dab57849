"""Pictures of a run folder, small enough to embed in a page."""

import io
from pathlib import Path

from PIL import Image

from mmgan.data.decode import UnreadableImage, ignoring_warnings, load_image
from mmgan.errors import UserError

LARGEST = 400_000
"""Size in bytes up to which a PNG is embedded unchanged."""

LONGEST = 500
"""Characters of a picture's description that are shown."""


def whole_grid(data: bytes, where: Path | str) -> tuple[bytes, str]:
    """The file itself, or a JPEG of at most 1024 pixels a side where it is large; with its media type.

    Args:
        data: of a PNG.
        where: it comes from, for messages.

    Raises:
        UserError: if it cannot be read.
    """
    image = _open(data, where)
    return (data, "image/png") if len(data) <= LARGEST else _jpeg(image, 1024)


def small_grid(path: Path, side: int = 320) -> tuple[bytes, str]:
    """A JPEG of at most `side` pixels a side, with its media type.

    Raises:
        UserError: if it cannot be read.
    """
    return _jpeg(_open(path.read_bytes(), path), side)


def description_of(data: bytes, where: Path | str) -> str:
    """What a PNG says of itself in its text "Description"; "" where it says nothing."""
    return str(_open(data, where).info.get("Description", ""))[:LONGEST]


def _jpeg(image: Image.Image, side: int) -> tuple[bytes, str]:
    image = image.convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, format="JPEG", quality=88)
    return out.getvalue(), "image/jpeg"


def _open(data: bytes, where: Path | str) -> Image.Image:
    try:
        with ignoring_warnings():
            return load_image(data, formats=("PNG",))
    except (UnreadableImage, OSError) as error:
        raise UserError(f"{where} cannot be read as an image ({error}): remove it and report again") from None
