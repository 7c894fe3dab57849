"""Sample grids and animations."""

import io
import math
from pathlib import Path

from jaxtyping import UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from mmgan.storage import write_atomically

SIDE, FRAME = 640, 256
"""Pixels that the side of a grid, and of an animation, has at least: small images are enlarged by a whole factor."""

MILLISECONDS = 80
"""How long a frame of an animation is shown."""


def save_grid(images: UInt8[Tensor, "n c h w"], path: Path, columns: int | None = None) -> None:
    """Write n images as a PNG, row by row; whole or not at all.

    Args:
        images: the images.
        path: of the file.
        columns: images in a row; None: a square.

    Raises:
        StorageFailed: if it cannot be written.
    """
    write_atomically(path, grid_png(images, columns))


def grid_png(images: UInt8[Tensor, "n c h w"], columns: int | None = None, description: str = "") -> bytes:
    """n images as a PNG, row by row.

    Args:
        images: the images.
        columns: images in a row; None: a square.
        description: what the picture shows; kept in it as the text "Description".
    """
    from torchvision.utils import make_grid  # imported where used: it takes two seconds

    columns = columns or math.isqrt(len(images) - 1) + 1
    grid = make_grid(images, nrow=columns, padding=1, pad_value=128)  # (3, rows * (h + 1) + 1, columns * (w + 1) + 1)
    picture = _enlarged(Image.fromarray(grid.permute(1, 2, 0).cpu().numpy()), SIDE)
    texts = PngInfo()
    if description:
        texts.add_text("Description", description)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True, pnginfo=texts)
    return buffer.getvalue()


def save_animation(images: UInt8[Tensor, "n c h w"], path: Path) -> None:
    """Write n images as an endless animation, a GIF (256 colours) or a PNG by its suffix; whole or not at all.

    Raises:
        StorageFailed: if it cannot be written.
    """
    pixels = images.permute(0, 2, 3, 1).cpu().numpy()  # (n, h, w, c)
    grey = pixels.shape[-1] == 1
    frames = [_enlarged(Image.fromarray(frame[..., 0] if grey else frame), FRAME) for frame in pixels]
    buffer, kind = io.BytesIO(), path.suffix.removeprefix(".").upper()
    frames[0].save(buffer, format=kind, save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=0)
    write_atomically(path, buffer.getvalue())


def _enlarged(picture: Image.Image, side: int) -> Image.Image:
    """By the least whole factor that gives its longer side this many pixels."""
    factor = max(1, -(-side // max(picture.size)))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
