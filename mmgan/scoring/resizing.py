"""Resizing as published scores do it: TensorFlow 1's bilinear (FID), and Pillow's bicubic (clean-fid, FD on DINOv2)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float32, Int64, UInt8
from PIL import Image
from torch import Tensor


def resize_like_tensorflow1(images: UInt8[Tensor, "n c h w"], size: int) -> Float32[Tensor, "n c size size"]:
    """Images in [0, 255] at size x size: no antialiasing, corners not aligned; channels last in memory.

    Bitwise `interpolate_bilinear_2d_like_tensorflow1x` of torch-fidelity, which interpolates rows that were repeated
    first. Here the few rows there are are interpolated before they are repeated, and whole rows are copied.
    """
    x = images.float()
    x = _interpolated(x, 3, size)  # (n, c, h, size)
    x = rearrange(x, "n c h w -> n h w c").contiguous()
    x = _interpolated(x, 1, size)  # (n, size, size, c)
    return rearrange(x, "n h w c -> n c h w")


def _interpolated(x: Float32[Tensor, "*shape"], axis: int, size: int) -> Float32[Tensor, "*resized"]:
    low, high, weight = _neighbours(x.shape[axis], size, x.device)
    first, second = x.index_select(axis, low), x.index_select(axis, high)
    weight = weight.view([-1 if i == axis else 1 for i in range(x.dim())])
    return second.sub_(first).mul_(weight).add_(first)  # first + (second - first) * weight, without new memory


def _neighbours(
    length: int, size: int, device: torch.device
) -> tuple[Int64[Tensor, " size"], Int64[Tensor, " size"], Float32[Tensor, " size"]]:
    """The two pixels between which each resized pixel lies, and the second's weight."""
    scale = torch.tensor(length / size, dtype=torch.float32)
    position = torch.arange(size, dtype=torch.float32, device=device) * scale
    low = position.long()
    return low, (low + 1).clamp_max(length - 1), position - low


def pictures(images: UInt8[Tensor, "n 3 h w"]) -> list[Image.Image]:
    """RGB images as Pillow's."""
    return [Image.fromarray(image.numpy()) for image in rearrange(images.cpu(), "n c h w -> n h w c").contiguous()]


def resize_clean(images: UInt8[Tensor, "n 3 h w"], size: int) -> Float32[Tensor, "n 3 size size"]:
    """RGB images at size x size as in clean-fid (Parmar et al. 2022): Pillow's bicubic in float, by channel."""
    planes = [Image.fromarray(plane) for plane in images.cpu().flatten(0, 1).float().numpy()]  # n * 3, of mode F
    resized = [np.asarray(plane.resize((size, size), Image.Resampling.BICUBIC)) for plane in planes]
    return rearrange(torch.from_numpy(np.stack(resized).clip(0, 255)), "(n c) h w -> n c h w", c=3)


def resize_like_pillow(images: UInt8[Tensor, "n 3 h w"], size: int) -> UInt8[Tensor, "n 3 size size"]:
    """RGB images at size x size by Pillow's bicubic interpolation: antialiased, rounded to grey levels."""
    resized = [picture.resize((size, size), Image.Resampling.BICUBIC) for picture in pictures(images)]
    return rearrange(torch.from_numpy(np.stack([np.asarray(picture) for picture in resized])), "n h w c -> n c h w")


@dataclass(frozen=True)
class Resizing:
    """A way to resize images in [0, 255].

    Attributes:
        resize: (n, 3, h, w), a size -> (n, 3, size, size).
        words: what it is called in a score's preprocessing.
    """

    resize: Callable[[UInt8[Tensor, "n 3 h w"], int], UInt8[Tensor, "n 3 s s"] | Float32[Tensor, "n 3 s s"]]
    words: str


TF1, CLEAN, PILLOW = "tf1", "clean", "pillow-bicubic"

RESIZINGS = {
    TF1: Resizing(resize_like_tensorflow1, "bilinear as TensorFlow 1"),
    CLEAN: Resizing(resize_clean, "antialiased bicubic in float as clean-fid"),
    PILLOW: Resizing(resize_like_pillow, "antialiased bicubic as Pillow"),
}
"""By the values of --resize."""


def name_with(name: str, resize: str, published: str) -> str:
    """The name of an extractor whose images are not resized as it is published: another name, for other numbers."""
    suffix = {TF1: "tf1", CLEAN: "clean", PILLOW: "pillow"}[resize]
    return name if resize == published else f"{name}-{suffix}"
