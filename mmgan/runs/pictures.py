"""Sample grids."""

import io
import math
from pathlib import Path

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from mmgan.storage import write_atomically

SIDE = 640
"""Pixels that a grid's side has at least: small images are enlarged by a whole factor, so that one can see them."""


def save_grid(images: UInt8[Tensor, "n c h w"], path: Path) -> None:
    """Write n images as a square PNG, row by row; whole or not at all.

    Raises:
        StorageFailed: if it cannot be written.
    """
    from torchvision.utils import make_grid  # imported where used: it takes two seconds

    columns = math.isqrt(len(images) - 1) + 1
    grid = make_grid(images, nrow=columns, padding=1, pad_value=128)  # (3, rows * (h + 1) + 1, columns * (w + 1) + 1)
    picture = Image.fromarray(grid.permute(1, 2, 0).cpu().numpy())
    factor = max(1, -(-SIDE // max(picture.size)))
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    write_atomically(path, buffer.getvalue())
