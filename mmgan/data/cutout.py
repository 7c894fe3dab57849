"""Cutout (DeVries and Taylor, arXiv 1708.04552), one of the regularisers in Section 5.1's comparison."""

import torch
from jaxtyping import Float
from torch import Tensor

from mmgan.draws import numpy_stream
from mmgan.transfer import to_device


def cutout(
    images: Float[Tensor, "b c h w"], side: int, *, seed: int, step: int, rank: int = 0, world_size: int = 1
) -> Float[Tensor, "b c h w"]:
    """Put a square of mid-grey (0 in [-1, 1]) into each image.

    A square's centre is any pixel, so that parts of it may lie outside, as in the authors' code. The squares are drawn
    for the whole batch of all processes and sliced by rank, so that they do not depend on the number of processes.

    Args:
        images: this process's slice of the batch, in [-1, 1].
        side: of the square, in pixels; 0 changes nothing.
        seed, step: name the draw.
        rank, world_size: which slice this is.
    """
    if not side:
        return images
    b, _, h, w = images.shape
    rng = numpy_stream(seed, "cutout", step=step)
    rows = slice(rank * b, (rank + 1) * b)
    centres = [torch.from_numpy(rng.integers(0, size, b * world_size)[rows]) for size in (h, w)]
    down, across = (
        _covered(to_device(centre, images.device), side, size) for centre, size in zip(centres, (h, w), strict=True)
    )  # (b, h), (b, w)
    hidden = down[:, None, :, None] & across[:, None, None, :]  # (b, 1, h, w)
    return images.masked_fill(hidden, 0.0)


def _covered(centre: Tensor, side: int, size: int) -> Tensor:
    """Which of `size` positions lie in [centre - side // 2, centre - side // 2 + side)."""
    start = centre[:, None] - side // 2  # (b, 1)
    position = torch.arange(size, device=centre.device)  # (size,)
    return (position >= start) & (position < start + side)  # (b, size)
