"""From a generator to uint8 images that depend on (seed, index) alone: not on processes, device or training."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor, nn

from mmgan.data import to_uint8
from mmgan.draws import torch_stream
from mmgan.errors import UserError
from mmgan.modes import evaluation_mode

BLOCK = 64
"""Latents are drawn in blocks of this many rows, one stream a block, so that row i never depends on the request."""

Generate = Callable[[int, int], UInt8[Tensor, "n c h w"]]
"""generate(first, count): images first .. first + count - 1 of an endless, fixed sequence."""

SampleLabels = Callable[[int, int], Int64[Tensor, " n"]]
"""labels(first, count): the classes of these images."""


class NonFiniteSamples(UserError):
    """A generator yields NaN or infinite pixels; no score is reported for it."""


def latents(first: int, count: int, dim: int, seed: int) -> Float32[Tensor, "n dim"]:
    """Rows first .. first + count - 1 of the standard normal latents of `seed`: (count, dim), on the CPU.

    Drawn on the CPU whatever the device, so that all devices and any number of processes see the same latents.
    """
    blocks = range(first // BLOCK, -(-(first + count) // BLOCK))
    drawn = [torch.randn(BLOCK, dim, generator=torch_stream(seed, "score-latents", 0, b)) for b in blocks]
    start = first - blocks.start * BLOCK
    return torch.cat(drawn)[start : start + count] if drawn else torch.empty(0, dim)


def quantise(x: Float[Tensor, "n c h w"]) -> UInt8[Tensor, "n c h w"]:
    """Images in [-1, 1] as uint8, rounded to the nearest grey level and clamped.

    Raises:
        NonFiniteSamples: for NaN or infinity, which would silently become black or white.
    """
    bad = int((~x.isfinite()).flatten(1).any(1).sum())
    if bad:
        raise NonFiniteSamples(f"{bad} of {len(x)} generated images hold NaN or infinite pixels, so they get no score")
    return to_uint8(x)


def images_of(generator: nn.Module, z: Float[Tensor, "n d"], chunk: int = 100) -> UInt8[Tensor, "n c h w"]:
    """The images of given latents, in eval mode and without gradients, `chunk` at a time."""
    with torch.no_grad(), evaluation_mode(generator):
        return torch.cat([quantise(generator(part)) for part in torch.split(z, chunk)])


def image_source(
    generator: nn.Module,
    dim: int,
    seed: int,
    device: torch.device | str = "cpu",
    classes: SampleLabels | None = None,
) -> Generate:
    """`generate(first, count)` for a generator that maps (n, dim) latents to (n, c, h, w) images in [-1, 1].

    The generator runs in eval mode and without gradients, and is left in the mode it was in.

    Args:
        generator: called with the latents, and with their classes where there are any.
        dim: dimensions of a latent.
        seed: of the latents.
        device: the generator's.
        classes: of a conditional generator's samples.
    """

    def generate(first: int, count: int) -> UInt8[Tensor, "n c h w"]:
        z = latents(first, count, dim, seed).to(device)  # (n, dim)
        with torch.no_grad(), evaluation_mode(generator):
            return quantise(generator(z) if classes is None else generator(z, classes(first, count).to(device)))

    return generate
