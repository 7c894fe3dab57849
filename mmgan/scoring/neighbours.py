"""The nearest rows of each row of a set, a block of distances at a time."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from mmgan.errors import UserError
from mmgan.scoring.jackknife import Groups

ROWS = 1000
"""Rows of a block of distances: 200 MB against 50,000 columns. Also the block with which precision and recall are
bitwise torch-fidelity's."""

SPARE = 32
"""Neighbours kept beyond the k-th, so that a k-th one is known when a group of images is left out."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """The rows nearest to each row of one set, itself among them at distance 0, in ascending order.

    Attributes:
        distances: (n, kept).
        groups: the groups of these rows, (n, kept); None without groups.
    """

    distances: Float32[Tensor, "n kept"]
    groups: Int64[Tensor, "n kept"] | None

    def radii(self, k: int) -> Float32[Tensor, " n"]:
        """The distance of each row to its k-th neighbour."""
        return self.distances[:, k]

    def radii_without(self, group: int, k: int) -> Float32[Tensor, " n"]:
        """The same when the rows of a group are not there; means nothing for those rows themselves."""
        if self.groups is None:
            raise ValueError("these neighbours were found without groups")
        left = (self.groups != group).cumsum(1) > k  # the (k + 1)-th row left, after the row itself
        if not bool(left[:, -1].all()):
            raise UserError(f"{len(left)} images are too few for an interval: more are needed, or no intervals")
        return self.distances.gather(1, left.int().argmax(1, keepdim=True)).squeeze(1)


def distances(x: Float32[Tensor, "b d"], y: Float32[Tensor, "n d"]) -> Float32[Tensor, "b n"]:
    """Euclidean distances of every row of x to every row of y; x is one block of rows, y is taken in blocks."""
    return torch.cat([torch.cdist(x, block) for block in torch.split(y, ROWS)], dim=1)


def nearest(x: Float32[Tensor, "n d"], k: int, groups: Groups | None = None) -> Nearest:
    """The neighbours of each row of x among x, enough of them for the k-th, with and without any one group."""
    kept = min(len(x), k + 1 + (0 if groups is None else SPARE))
    parts = [distances(block, x).topk(kept, largest=False) for block in torch.split(x, ROWS)]  # (b, kept)
    indices = torch.cat([part.indices for part in parts]).numpy()
    found = None if groups is None else torch.from_numpy(np.asarray(groups)[indices])
    return Nearest(torch.cat([part.values for part in parts]), found)
