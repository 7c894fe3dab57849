"""Resizing as published scores do it: TensorFlow 1's bilinear (FID), and Pillow's bicubic (FD on DINOv2)."""

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


def resize_like_pillow(images: UInt8[Tensor, "n 3 h w"], size: int) -> UInt8[Tensor, "n 3 size size"]:
    """RGB images at size x size by Pillow's bicubic interpolation: antialiased, rounded to grey levels."""
    resized = [picture.resize((size, size), Image.Resampling.BICUBIC) for picture in pictures(images)]
    return rearrange(torch.from_numpy(np.stack([np.asarray(picture) for picture in resized])), "n h w c -> n c h w")
