"""Bilinear resizing as TensorFlow 1 does it, which FID's Inception was published with."""

import torch
from einops import rearrange
from jaxtyping import Float32, Int64, UInt8
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
