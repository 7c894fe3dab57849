"""Digits by angle: images that are a known function of their factors, and a network that begins with that function."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from mmgan.data import Images
from mmgan.draws import numpy_stream

SIDE = 28
PIXELS = SIDE * SIDE

Range = tuple[float, float]


@dataclass(frozen=True)
class AngleTask:
    """One of Appendix A's tasks; angles in degrees, each range with the same probability, uniform inside."""

    train: Sequence[Range]  # the label is the range's index, unless `digits` are given
    test: Sequence[Range]
    digits: tuple[int, int] | None = None  # the two digits to tell apart; None: all digits, and the angle is the label


TRAIN = ((-70.0, -50.0), (50.0, 80.0))
TASKS = {
    "A": AngleTask(TRAIN, ((-30.0, -10.0), (10.0, 30.0))),
    "B": AngleTask(TRAIN, ((-30.0, -20.0), (-10.0, 30.0))),
    "C": AngleTask(TRAIN, ((-30.0, 30.0),), digits=(1, 7)),
}


def draw_examples(
    upright: Images, task: AngleTask, ranges: Sequence[Range], n: int, seed: int
) -> tuple[Float[Tensor, "n 785"], Int64[Tensor, " n"]]:
    """Draw n images as factors (the angle in radians, then the upright digit's pixels), and their labels.

    Args:
        upright: MNIST.
        task: its `digits` decide the label.
        ranges: of the angle.
        n: number of images, drawn with replacement.
        seed: of the draws.
    """
    digits = upright.labels
    assert digits is not None
    rng = numpy_stream(seed, f"factors, {upright.split}")
    names = task.digits or tuple(range(10))
    usable = torch.isin(digits, torch.tensor(names)).nonzero().squeeze(1)
    chosen = usable[torch.from_numpy(rng.integers(len(usable), size=n))]  # (n,)
    which = rng.integers(len(ranges), size=n)
    low, high = (np.array(bound)[which] for bound in zip(*ranges, strict=True))
    angles = torch.from_numpy(np.radians(rng.uniform(low, high))).float()  # (n,)
    labels = (digits[chosen] == names[1]).long() if task.digits else torch.from_numpy(which)
    pixels = upright.pixels[chosen].flatten(1) / 255  # (n, 784), 0 to 1
    return torch.cat([angles[:, None], pixels], dim=1), labels


class Angle(nn.Module):
    """The first factor: (n, 785) -> (n, 1), radians."""

    def forward(self, factors: Float[Tensor, "n 785"]) -> Float[Tensor, "n 1"]:
        return factors[:, :1]


class Render(nn.Module):
    """Turns upright digits counter-clockwise by their angles, bilinear, black outside: -> (n, 1, 28, 28)."""

    def forward(self, angle: Float[Tensor, "n 1"], digit: Float[Tensor, "n 784"]) -> Float[Tensor, "n 1 28 28"]:
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        # Each place of the new image looks up the place that it came from, with y pointing down: the inverse rotation.
        matrix = torch.stack([torch.cat([cos, -sin, zero], 1), torch.cat([sin, cos, zero], 1)], dim=1)  # (n, 2, 3)
        upright = digit.view(-1, 1, SIDE, SIDE)
        grid = F.affine_grid(matrix, list(upright.shape), align_corners=False)  # (n, 28, 28, 2)
        return F.grid_sample(upright, grid, align_corners=False)


class RenderedClassifier(nn.Module):
    """Factors -> image -> logits. The layers to mix at: "factors", "angle" (the true factors) and "render" (pixels)."""

    def __init__(self, width: int, classes: int = 2) -> None:
        super().__init__()
        self.factors = nn.Identity()
        self.angle = Angle()
        self.render = Render()
        self.classifier = nn.Sequential(
            *(nn.Flatten(), nn.Linear(PIXELS, width), nn.LeakyReLU()),
            *(nn.Linear(width, width), nn.LeakyReLU(), nn.Linear(width, classes)),
        )

    def forward(self, factors: Float[Tensor, "n 785"]) -> Float[Tensor, "n k"]:
        """Logits of the images that the factors make."""
        known = self.factors(factors)
        logits: Tensor = self.classifier(self.render(self.angle(known), known[:, 1:]))
        return logits


def turned(factors: Float[Tensor, "n 785"], degrees: float) -> Float[Tensor, "n 785"]:
    """The same digits, all at one angle."""
    return torch.cat([torch.full((len(factors), 1), math.radians(degrees)), factors[:, 1:]], dim=1)
