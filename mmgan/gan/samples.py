"""Samples of a run's generator, with or without classes."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from mmgan.gan.classes import Classes, SampleClasses
from mmgan.scoring import Generate, image_source

GRID = 64
"""Images of a sample grid without classes."""

ROWS, COLUMNS = 16, 10
"""Largest number of classes in a grid, and images of each."""


def run_source(
    generator: nn.Module,
    dim: int,
    seed: int,
    device: torch.device | str,
    classes: Classes | None,
    only: int | None = None,
) -> Generate:
    """`generate(first, count)` of a run's generator, as `image_source`.

    Args:
        generator: the network.
        dim: dimensions of its latents.
        seed: of latents and classes.
        device: the generator's.
        classes: of a conditional run; samples have the training images' shares of them.
        only: the class of all samples.
    """
    if classes is None:
        return image_source(generator, dim, seed, device)
    if only is not None:
        return image_source(generator, dim, seed, device, lambda _, count: torch.full((count,), only))
    return image_source(generator, dim, seed, device, SampleClasses(classes.counts, seed))


def sample_grid(
    generator: nn.Module, dim: int, seed: int, device: torch.device | str, classes: Classes | None
) -> tuple[UInt8[Tensor, "n c h w"], int | None]:
    """Images of a grid and its number of columns; None: it is square.

    With classes each has a row, up to `ROWS` of them, and each column has its latent.
    """
    if classes is None:
        return image_source(generator, dim, seed, device)(0, GRID), None
    rows = [run_source(generator, dim, seed, device, classes, k)(0, COLUMNS) for k in shown_classes(classes)]
    return torch.cat(rows), COLUMNS


def shown_classes(classes: Classes) -> list[int]:
    """The classes that have a row in a grid: all, or `ROWS` of them, evenly spaced."""
    return [int(k) for k in torch.linspace(0, len(classes) - 1, min(len(classes), ROWS)).round()]


class OfClass(nn.Module):
    """A conditional generator that makes images of one class."""

    def __init__(self, generator: nn.Module, only: int) -> None:
        super().__init__()
        self.generator, self.only = generator, only

    def forward(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        images: Tensor = self.generator(z, torch.full((len(z),), self.only, device=z.device))
        return images
