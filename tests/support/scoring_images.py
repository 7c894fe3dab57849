"""Small extractors and images for the scoring tests."""

from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from mmgan.scoring import NetworkExtractor


def tiny_classifier(seed: int = 0, dims: int = 8, channels: int = 3) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        convolution = nn.Conv2d(channels, dims, 3, stride=2)
        return nn.Sequential(convolution, nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(dims, 5))


def tiny_extractor(seed: int = 0, channels: int = 3) -> NetworkExtractor:
    return NetworkExtractor(tiny_classifier(seed, channels=channels), "tiny", "3", image_size=8, channels=channels)


def smooth_images(count: int, seed: int, brightness: float = 1.0, size: int = 8, channels: int = 3) -> Tensor:
    coarse = torch.rand(count, channels, 3, 3, generator=torch.Generator().manual_seed(seed))
    return (F.interpolate(coarse, size=size, mode="bilinear") * 255 * brightness).round().to(torch.uint8)


def from_tensor(images: Tensor) -> Callable[[int, int], Tensor]:
    return lambda first, count: images[first : first + count]


def write_images(folder: Path, images: Tensor) -> Path:
    """One PNG an image, grey or RGB, in a new folder."""
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image.movedim(0, -1).squeeze(-1).numpy()).save(folder / f"{i:03}.png")
    return folder
