"""The training images that are nearest to some images, pixel by pixel."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from mmgan.scoring.neighbours import distances

VALUES = 2**28
"""Numbers of the training images that are looked at, at most: all of CIFAR-10, 5,461 images of 128 x 128."""

CHUNK = 2**24
"""Of them at a time, in float32."""


@dataclass(frozen=True)
class Nearest:
    """The k nearest of some images.

    Attributes:
        index: (n, k) into the images that were looked at, the nearest first.
        distance: (n, k), root mean square over pixels, in grey levels.
    """

    index: Int64[Tensor, "n k"]
    distance: Float32[Tensor, "n k"]


def looked_at(count: int, numbers: int) -> Int64[Tensor, " m"]:
    """Which of the training images are compared with: all of them, or as many as `VALUES` allows, evenly spaced.

    Args:
        count: of the training images.
        numbers: in one of them.
    """
    most = max(1, min(count, VALUES // numbers))
    return torch.linspace(0, count - 1, most, dtype=torch.float64).round().long()


def nearest_images(
    images: UInt8[Tensor, "n c h w"], pixels: UInt8[Tensor, "m c h w"], count: int, *, skip_equal_index: bool = False
) -> Nearest:
    """The `count` nearest of `pixels` to each of `images`, in one pass over them.

    Args:
        images: to find neighbours of.
        pixels: among which; they may be mapped from a file.
        count: k, at most m, or m - 1 where an image is no neighbour of itself.
        skip_equal_index: image i is pixels[i], and no neighbour of itself.
    """
    a, step = images.flatten(1).float(), max(1, CHUNK // images[0].numel())  # (n, d)
    parts = [distances(a, part.flatten(1).float()) for part in torch.split(pixels, step)]  # (n, step) each
    distance = torch.cat(parts, 1) / math.sqrt(a.shape[1])  # (n, m)
    if skip_equal_index:
        distance[torch.arange(len(a)), torch.arange(len(a))] = torch.inf
    found = distance.topk(count, largest=False)
    return Nearest(found.indices, found.values)
