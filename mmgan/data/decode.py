"""One image file of any kind to uint8 pixels."""

import io

import numpy as np
from PIL import Image, ImageOps

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B"})


def open_image(data: bytes) -> Image.Image:
    """The image in `data`, its header read. Raises Pillow's own error, or DecompressionBombError beyond its limit."""
    image = Image.open(io.BytesIO(data))
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:  # Pillow itself only warns up to twice its limit
        raise Image.DecompressionBombError(
            f"{image.width} x {image.height} pixels are more than Pillow's limit of {limit} against decompression bombs"
        )
    return image


def decode(data: bytes, image_size: int | None, channels: int) -> np.ndarray:
    """The image in `data` as uint8 (channels, height, width), upright by its EXIF orientation.

    Transparency is composited on white; 16-bit greys are scaled to 8 bits; colour becomes grey by ITU-R 601 luma. The
    centred square of the shorter side is resized to `image_size` (antialiased bilinear); None keeps size and shape.

    Raises Pillow's own errors for unreadable data, and ValueError for pixels with no known range.
    """
    image = _eight_bit(ImageOps.exif_transpose(open_image(data)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if channels == 1 else "RGB")
    if image_size is not None and image.size != (image_size, image_size):
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
        image = image.resize((image_size, image_size), Image.Resampling.BILINEAR, box=box)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)  # (c, h, w)


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    deep = np.asarray(image).astype(np.int64)
    if deep.min() < 0 or deep.max() > 65535:
        raise ValueError("grey levels beyond 16 bits have no known range")
    return Image.fromarray(((deep * 255 + 32767) // 65535).astype(np.uint8))


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) after the EXIF orientation, without reading the pixels."""
    sideways = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return (image.height, image.width) if sideways else image.size
