"""One image file of any kind to uint8 pixels: the only place that opens images.

Pillow tries every reader it has on a file's first bytes, whatever its name. Its reader of EPS starts the program `gs`,
and rarely used readers have had the most faults. So only `FORMATS` are opened.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""Pillow's names of the formats that are read. Of an animation the first frame is read."""

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B"})

STRIP = 1 << 22
"""Pixels that are worked on at a time where intermediate copies are large."""


class UnreadableImage(ValueError):
    """A file that is no image of `FORMATS`, or is damaged. The message is the reason, in one line."""


@dataclass(frozen=True)
class Header:
    """What is known of an image before it is decoded."""

    size: tuple[int, int]  # (width, height) as `decode` returns it, upright
    grey: bool
    notes: tuple[str, ...]  # what `decode` does to the pixels that other readers may not do


def open_image(data: bytes, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    """The image in `data`, its header read. Raises UnreadableImage, also beyond Pillow's limit of pixels."""
    with _reasons():
        try:
            image = Image.open(io.BytesIO(data), formats=formats)
        except UnidentifiedImageError:
            raise UnreadableImage(f"it is of no format that is read ({', '.join(formats)}), or damaged") from None
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and image.width * image.height > limit:  # Pillow itself only warns up to twice its limit
            raise UnreadableImage(
                f"{image.width} x {image.height} pixels are more than Pillow's limit of {limit} against decompression"
                " bombs"
            )
        if image.mode == "F":
            raise UnreadableImage("floating-point pixels have no known range")
        return image


def load_image(data: bytes, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    """The image in `data` as Pillow reads it, with its pixels. Raises UnreadableImage."""
    with _reasons():
        image = open_image(data, formats)
        image.load()
        return image


def read_header(data: bytes) -> Header:
    """The header of the image in `data`. Raises UnreadableImage."""
    with _reasons():
        image = open_image(data)
        turn = image.getexif().get(0x0112, 1)
        notes = {
            "16-bit greys scaled to 8 bits": _is_deep(image),
            "turned upright as EXIF says": turn in range(2, 9),
            "transparency laid on white": image.has_transparency_data,
        }
        size = (image.height, image.width) if turn in range(5, 9) else image.size
        return Header(size, image.mode in GREY_MODES, tuple(note for note, holds in notes.items() if holds))


def decode(data: bytes, image_size: int | None, channels: int) -> np.ndarray:
    """The image in `data` as uint8 (channels, height, width), upright by its EXIF orientation.

    Transparency is composited on white; 16-bit greys are scaled to 8 bits; colour becomes grey by ITU-R 601 luma. The
    centred square of the shorter side is resized to `image_size` (antialiased bilinear); None keeps size and shape.

    Raises UnreadableImage, also for pixels with no known range.
    """
    with _reasons():
        return pixels_of(open_image(data), image_size, channels)


def pixels_of(image: Image.Image, image_size: int | None, channels: int) -> np.ndarray:
    """The pixels of an image that is open, as `decode` returns them."""
    with _reasons():
        if image.mode == "F":
            raise UnreadableImage("floating-point pixels have no known range")
        image = _on_white(_eight_bit(ImageOps.exif_transpose(image)))
        image = image.convert("L" if channels == 1 else "RGB")
        if image_size is not None and image.size != (image_size, image_size):
            side = min(image.size)
            left, top = (image.width - side) / 2, (image.height - side) / 2
            box = (left, top, left + side, top + side)
            image = image.resize((image_size, image_size), Image.Resampling.BILINEAR, box=box)
        pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)  # (c, h, w)


@contextmanager
def ignoring_warnings() -> Iterator[None]:
    """Ignore Pillow's warnings inside the block: `open_image` refuses what matters, and they name no file.

    The filter is the process's: enter the block before any thread decodes.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


@contextmanager
def _reasons() -> Iterator[None]:
    try:
        yield
    except (UnreadableImage, MemoryError):  # too little memory says nothing about the file
        raise
    except Exception as error:  # Pillow's readers raise all sorts on broken files
        raise UnreadableImage(" ".join(str(error).split()) or type(error).__name__) from error


def _is_deep(image: Image.Image) -> bool:
    return image.mode == "I" or image.mode.startswith("I;16")


def _eight_bit(image: Image.Image) -> Image.Image:
    if not _is_deep(image):
        return image
    deep = np.asarray(image)
    if deep.min() < 0 or deep.max() > 65535:
        raise UnreadableImage("grey levels beyond 16 bits have no known range")
    scaled = np.empty(deep.shape, np.uint8)
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        part = deep[top : top + rows].astype(np.uint32)
        scaled[top : top + rows] = (part * 255 + 32767) // 65535
    return Image.fromarray(scaled)


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    opaque = Image.new("RGB", image.size)
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        part = image.crop(box).convert("RGBA")
        opaque.paste(Image.alpha_composite(Image.new("RGBA", part.size, "white"), part).convert("RGB"), box)
    return opaque
