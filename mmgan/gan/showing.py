"""Pictures of a generator for a run's page: samples next to training images, their nearest, interpolations."""

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from mmgan.data import Images
from mmgan.draws import numpy_stream
from mmgan.gan.classes import Classes
from mmgan.gan.latents import closed_path
from mmgan.gan.nearest import looked_at, nearest_images
from mmgan.gan.samples import COLUMNS, GRID, OfClass, run_source, shown_classes
from mmgan.report.shown import INTERPOLATION, NEIGHBOURS, REAL
from mmgan.runs.pictures import grid_png
from mmgan.scoring import images_of, latents

ROWS, BESIDE = 8, 5
"""Samples with their neighbours, and neighbours of each."""

PATHS = FRAMES = 8
"""Paths between latents, and images of each."""


def shown_pictures(
    generator: nn.Module, images: Images, dim: int, seed: int, device: torch.device | str, classes: Classes | None
) -> dict[str, bytes]:
    """PNGs by kind, each with its description.

    Args:
        generator: to sample from.
        images: that it was trained on.
        dim: dimensions of its latents.
        seed: the run's.
        device: the generator's.
        classes: of a conditional run.

    Raises:
        NonFiniteSamples: if it yields NaN or infinite pixels.
    """
    found = {REAL: _real(images, seed, classes)}
    if len(images) > BESIDE:
        samples = run_source(generator, dim, seed, device, classes)(0, GRID)[:ROWS].cpu()
        found[NEIGHBOURS] = _neighbours(samples, images)
    found[INTERPOLATION] = _interpolation(generator, dim, seed, device, classes)
    return found


def _real(images: Images, seed: int, classes: Classes | None) -> bytes:
    """Drawn by the seed, laid out as the sample grid."""
    order = torch.from_numpy(numpy_stream(seed, "images beside samples").permutation(len(images)))
    what = f"of the {len(images):,} training images of {images.name} ({images.split}), drawn by the seed"
    if classes is None:
        chosen, columns = order[:GRID], None
    else:
        assert images.labels is not None
        rows = [order[images.labels[order] == k][:COLUMNS] for k in shown_classes(classes)]
        fewest = min(len(row) for row in rows)
        chosen, columns = torch.cat([row[:fewest] for row in rows]), fewest
        what = f"{what}, a class a row as in the samples"
    return grid_png(images.pixels[chosen], columns, f"{len(chosen)} {what}.")


def _neighbours(samples: UInt8[Tensor, "n c h w"], images: Images) -> bytes:
    """A sample a row, and the training images nearest to it."""
    some = looked_at(len(images), images.pixels[0].numel())
    pixels = images.pixels if len(some) == len(images) else images.pixels[some]
    of_samples = nearest_images(samples, pixels, BESIDE)
    of_reals = nearest_images(pixels[: len(samples)], pixels, 1, skip_equal_index=True)
    rows = torch.cat([samples[:, None], pixels[of_samples.index]], 1).flatten(0, 1)  # (n * (1 + k), c, h, w)
    among = f"{len(some):,}" if len(some) == len(images) else f"{len(some):,} (evenly spaced) of {len(images):,}"
    distances = [float(of.distance[:, 0].median()) for of in (of_samples, of_reals)]
    return grid_png(
        rows,
        1 + BESIDE,
        f"First column: samples; then the {BESIDE} nearest of {among} training images, by the root mean square over"
        f" pixels. To the nearest it is {distances[0]:.1f} grey levels (median); from {len(samples)} training images to"
        f" their nearest others {distances[1]:.1f}. Copies would be near 0.",
    )


def _interpolation(
    generator: nn.Module, dim: int, seed: int, device: torch.device | str, classes: Classes | None
) -> bytes:
    """From each latent to the next in a row; with classes a row has one class."""
    path = closed_path(latents(0, PATHS, dim, seed), FRAMES).to(device)  # (PATHS * FRAMES, dim)
    what = f"Each row goes from one latent to the first of the next row, spherically, in {FRAMES} steps"
    if classes is None:
        return grid_png(images_of(generator, path).cpu(), FRAMES, f"{what}.")
    chosen = shown_classes(classes)
    rows = [
        images_of(OfClass(generator, chosen[i % len(chosen)]), row) for i, row in enumerate(torch.split(path, FRAMES))
    ]
    return grid_png(torch.cat(rows).cpu(), FRAMES, f"{what}; a row has one class.")
