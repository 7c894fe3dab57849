"""Conversions of pixels: to the networks' range and back, to another size, to another number of channels."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from mmgan.errors import UserError

CHUNK = 4096  # images converted at a time, so that intermediate copies stay small


def to_float(pixels: UInt8[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """uint8 0..255 to float32 in [-1, 1], both ends included: x / 127.5 - 1."""
    return pixels.to(torch.float32).div_(127.5).sub_(1)  # cast first: on a CPU, mixed types go element by element


def to_uint8(values: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """Floats in [-1, 1] to uint8, rounded to the nearest grey level (truncating would cost half a level).

    Values beyond the range are clamped. Raises UserError on NaN or infinity, which a cast would turn into plausible
    pixels.
    """
    values = values.float()  # half precisions cannot tell 255 from its neighbours
    if not bool(values.isfinite().all()):
        raise UserError("images with NaN or infinite values cannot be turned into pixels: the network has diverged")
    return ((values + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def with_channels(pixels: UInt8[Tensor, "n c h w"], channels: int | None) -> UInt8[Tensor, "n d h w"]:
    """Grey to RGB by repetition, RGB to grey by ITU-R 601 luma (Pillow's integer weights); None keeps the channels."""
    if channels in (None, pixels.shape[1]):
        return pixels
    if channels == 3:
        return pixels.repeat(1, 3, 1, 1)  # (n, 3, h, w)
    weights = torch.tensor([19595, 38470, 7471], dtype=torch.int32).view(3, 1, 1)  # 0.299, 0.587, 0.114 times 2**16
    grey = [((part.int() * weights).sum(1, keepdim=True) + 2**15) >> 16 for part in torch.split(pixels, CHUNK)]
    return torch.cat(grey).to(torch.uint8)  # (n, 1, h, w)


def resized(pixels: UInt8[Tensor, "n c h w"], size: int | None) -> UInt8[Tensor, "n c s s"]:
    """Resize square images to size x size by antialiased bilinear interpolation; None keeps their size."""
    if size in (None, pixels.shape[-1]):
        return pixels
    # torchvision's resize calls the same, but importing it takes two seconds.
    parts = [F.interpolate(part, (size, size), mode="bilinear", antialias=True) for part in torch.split(pixels, CHUNK)]
    return torch.cat(parts)


def padded(pixels: UInt8[Tensor, "n c h w"], size: int) -> UInt8[Tensor, "n c s s"]:
    """Centre square images on a black background of size x size."""
    before = (size - pixels.shape[-1]) // 2
    after = size - pixels.shape[-1] - before
    return F.pad(pixels, (before, after, before, after))
