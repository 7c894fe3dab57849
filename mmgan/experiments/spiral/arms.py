"""The two spirals, and the regularisers compared on them (Figures 1 and 2)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mmgan.draws import numpy_stream


@dataclass(frozen=True)
class Arm:
    """A regulariser, as changes to the plain network and its training."""

    layers: str = "none"
    weight_decay: float = 0.0
    input_noise: float = 0.0
    dropout: float = 0.0
    batch_norm: bool = False


VANILLA, MANIFOLD, INPUT, BOTH = "vanilla", "Manifold Mixup", "input mixup", "Manifold Mixup, layers 1, 3"
ARMS = {
    VANILLA: Arm(),
    MANIFOLD: Arm(layers="3"),
    BOTH: Arm(layers="1,3"),
    INPUT: Arm(layers="pixel"),
    "weight decay": Arm(weight_decay=1e-3),
    "noise": Arm(input_noise=0.1),
    "dropout": Arm(dropout=0.5),
    "batch norm": Arm(batch_norm=True),
}
OTHERS = [name for name in ARMS if name not in (VANILLA, MANIFOLD, BOTH)]


def spirals(
    count: int, turns: float, noise: float, seed: int, purpose: str = "spirals"
) -> tuple[Float[Tensor, "n 2"], Int64[Tensor, " n"]]:
    """Two interleaved Archimedean spirals, r = angle / (2 pi turns), the second turned by half a turn.

    Points are uniform in r^2, so roughly uniform along the arms except near the centre; r is in [0.15, 1].

    Args:
        count: points; labels alternate.
        turns: of each arm from the centre to r = 1.
        noise: deviation of normal noise added to both coordinates.
        seed, purpose: name the draw.
    """
    rng = numpy_stream(seed, purpose)
    labels = np.arange(count) % 2
    r = np.sqrt(rng.uniform(0.15**2, 1, count))
    angle = 2 * np.pi * (turns * r + labels / 2)
    points = r[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (n, 2)
    points = points + noise * rng.standard_normal((count, 2))
    return torch.from_numpy(points).float(), torch.from_numpy(labels)
