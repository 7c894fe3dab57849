"""Augmentation of a whole batch in a few tensor operations, drawn for the global batch and sliced by rank.

Because the draws are for the global batch, the slices of P processes joined are the batch of one process, bit for bit.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from mmgan.data.pixels import to_float
from mmgan.draws import numpy_stream, torch_stream
from mmgan.errors import UserError
from mmgan.transfer import to_device


@dataclass(frozen=True)
class Augmentation:
    """Per-example random crops, flips and dequantisation, a pure function of (seed, purpose, step)."""

    flip: bool = False  # mirror left and right with probability 1/2
    crop_padding: int = 0  # pixels of black around the image before a crop at its own size
    dequantize: bool = False  # spread every grey level evenly over its interval

    def __post_init__(self) -> None:
        if self.crop_padding < 0:
            raise UserError(f"crop_padding must be 0 or more pixels, not {self.crop_padding}")

    def __call__(
        self, pixels: UInt8[Tensor, "b c h w"], *, seed: int, purpose: str, step: int, batch_size: int, rows: slice
    ) -> Float[Tensor, "b c h w"]:
        """Rows `rows` of the global batch of `batch_size`, augmented, as floats in [-1, 1]."""
        rng = numpy_stream(seed, f"{purpose}/augment", step=step)
        mirrored = torch.from_numpy(rng.random(batch_size) < 0.5)[rows]
        corners = torch.from_numpy(rng.integers(0, 2 * self.crop_padding + 1, (2, batch_size)))[:, rows]
        if self.flip:
            pixels = flip(pixels, to_device(mirrored, pixels.device))
        if self.crop_padding:
            pixels = crop(pixels, to_device(corners, pixels.device), self.crop_padding)
        if not self.dequantize:
            return to_float(pixels)
        # Drawn on the device, where the pixels are: a GPU's noise is not a CPU's, but equal for any number of ranks.
        generator = torch_stream(seed, f"{purpose}/dequantize", step=step, device=pixels.device)
        return dequantized(pixels, noise_bytes((batch_size, *pixels.shape[1:]), generator)[rows])


# The obvious ways (torch.where, advanced indexing) go element by element on a CPU. index_select copies whole rows,
# which makes flip and crop five to seven times as fast there.


def flip(pixels: UInt8[Tensor, "b c h w"], mirrored: Bool[Tensor, " b"]) -> UInt8[Tensor, "b c h w"]:
    """Swap left and right in the images marked by `mirrored`."""
    both = torch.cat([pixels, pixels.flip(-1)])  # (2b, c, h, w)
    image = torch.arange(len(pixels), device=pixels.device)
    return both.index_select(0, image + len(pixels) * mirrored)  # (b, c, h, w)


def crop(pixels: UInt8[Tensor, "b c h w"], corners: Int64[Tensor, "2 b"], padding: int) -> UInt8[Tensor, "b c h w"]:
    """Pad each image with black, then crop it at its own (top, left) = corners[:, i] to its own size."""
    count, channels, height, width = pixels.shape
    padded = F.pad(pixels, (padding,) * 4)  # (b, c, h + 2p, w + 2p)
    # Every run of `width` bytes, from any start, is a row of this overlapping view.
    runs = padded.as_strided((padded.numel() - width + 1, width), (1, 1))
    plane = torch.arange(count * channels, device=pixels.device).view(count, channels, 1)
    row = corners[0].view(count, 1, 1) + torch.arange(height, device=pixels.device)  # (b, 1, h)
    start = (plane * padded.shape[2] + row) * padded.shape[3] + corners[1].view(count, 1, 1)  # (b, c, h)
    return runs.index_select(0, start.flatten()).view(count, channels, height, width)


def noise_bytes(shape: tuple[int, ...], generator: torch.Generator) -> UInt8[Tensor, "..."]:
    """Uniform random bytes, eight from each draw."""
    count = math.prod(shape)
    words = torch.empty(-(-count // 8), dtype=torch.int64, device=generator.device)
    return words.random_(-(2**63), None, generator=generator).view(torch.uint8)[:count].view(shape)


def dequantized(pixels: UInt8[Tensor, "b c h w"], noise: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """(x + u - 1/2) / 127.5 - 1 for u = (noise + 1/2) / 256, clamped to [-1, 1]: to_uint8 gives x back.

    The reference (sngan_projection) has x / 128 - 1 + u / 128, which rounding would shift by up to half a level.
    """
    shift = noise.to(torch.float32).sub_(127.5).div_(256)  # u - 1/2
    return shift.add_(pixels.to(torch.float32)).div_(127.5).sub_(1).clamp_(-1, 1)
