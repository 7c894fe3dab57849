"""Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020).

Each set stands for the union of balls around its rows, each as wide as the distance to the row's k-th neighbour.
All four measures come from one pass over the distances between the two sets.
"""

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from mmgan.scoring.estimate import Estimate
from mmgan.scoring.jackknife import GROUPS, Groups, jackknife
from mmgan.scoring.neighbours import ROWS, Nearest, distances, nearest

PRECISION_NEIGHBOURS = 3
"""k of precision and recall, as in torch-fidelity."""

DENSITY_NEIGHBOURS = 5
"""k of density and coverage, as in the paper and its package prdc."""

LEAST = max(PRECISION_NEIGHBOURS, DENSITY_NEIGHBOURS) + 1
"""Images of each set that the four measures need."""


def manifold_scores(
    fake: Float32[Tensor, "n d"],
    real: Float32[Tensor, "m d"],
    *,
    precision: bool = True,
    density: bool = True,
    groups: tuple[Groups, Groups] | None = None,
) -> dict[str, Estimate]:
    """The measures by name, from one pass over the distances between the two sets.

    `precision` is the share of fakes in a ball of the reals, `recall` the share of reals in a ball of the fakes. A row
    at exactly the radius is inside, as in torch-fidelity.

    `density` is the number of the reals' balls that a fake lies in, divided by k, on average. It is 1 in expectation
    for equal distributions and has no upper bound. `coverage` is the share of reals in whose ball a fake lies. A row
    at exactly the radius is outside, as in prdc.

    Args:
        fake, real: at least `LEAST` rows each.
        precision: also precision and recall.
        density: also density and coverage.
        groups: of the fakes and of the reals, for intervals; None: no intervals.
    """
    fake_groups, real_groups = (None, None) if groups is None else map(torch.from_numpy, groups)
    real_balls = nearest(real, DENSITY_NEIGHBOURS, None if groups is None else groups[1])
    fake_balls = nearest(fake, PRECISION_NEIGHBOURS, None if groups is None else groups[0]) if precision else None
    left_out = [None, *range(GROUPS)] if groups is not None else [None]
    counts = [_Counts(real_balls, fake_balls, real_groups, g, density=density) for g in left_out]
    for rows, block in enumerate(torch.split(fake, ROWS)):
        D = distances(block, real)  # (b, m)
        part = slice(rows * ROWS, rows * ROWS + len(block))
        for count in counts:
            count.add(D, part, None if fake_groups is None else fake_groups[part])
    found = [count.scores() for count in counts]
    if groups is None:
        return {name: Estimate(value) for name, value in found[0].items()}
    return {name: jackknife(value, [other[name] for other in found[1:]]) for name, value in found[0].items()}


class _Counts:
    """Sums over the blocks of distances, with all rows or without one group of both sets."""

    def __init__(
        self, real: Nearest, fake: Nearest | None, real_groups: Tensor | None, without: int | None, *, density: bool
    ) -> None:
        self.without = without
        self.density = density
        self.precision = fake is not None
        self.real_left = None if without is None or real_groups is None else real_groups != without  # (m,)
        self.fakes = self.inside_real = self.pairs = 0
        m = len(real.distances)
        self.reals = m if self.real_left is None else int(self.real_left.sum())
        self.precision_radii = self._real_radii(real, PRECISION_NEIGHBOURS)  # (m,)
        self.density_radii = self._real_radii(real, DENSITY_NEIGHBOURS)  # (m,)
        self.recall_radii = None if fake is None else _radii(fake, PRECISION_NEIGHBOURS, without)  # (n,)
        self.recalled = torch.zeros(m, dtype=torch.bool)
        self.closest = torch.full((m,), torch.inf)

    def add(self, D: Float32[Tensor, "b m"], part: slice, groups: Tensor | None) -> None:
        """Count a block of the fakes, rows `part`, against all reals."""
        left = None if self.without is None or groups is None else groups != self.without  # (b,)
        if left is not None:
            D = D[left]
        self.fakes += len(D)
        if self.recall_radii is not None:
            radii = self.recall_radii[part]
            self.inside_real += int((self.precision_radii >= D).any(1).sum())
            self.recalled |= ((radii if left is None else radii[left])[:, None] >= D).any(0)
        if self.density:
            self.pairs += int(torch.count_nonzero(self.density_radii > D))
            torch.minimum(self.closest, D.amin(0), out=self.closest)

    def scores(self) -> dict[str, float]:
        """The measures, once all blocks are counted."""
        found = {}
        if self.precision:
            found["precision"] = self.inside_real / self.fakes
            found["recall"] = self._share(self.recalled)
        if self.density:
            found["density"] = self.pairs / (DENSITY_NEIGHBOURS * self.fakes)
            found["coverage"] = self._share(self.closest < self.density_radii)
        return found

    def _real_radii(self, real: Nearest, k: int) -> Float32[Tensor, " m"]:
        radii = _radii(real, k, self.without)
        return radii if self.real_left is None else radii.where(self.real_left, -torch.inf)  # a ball that holds nothing

    def _share(self, hit: Bool[Tensor, " m"]) -> float:
        hits = hit if self.real_left is None else hit & self.real_left
        return int(hits.sum()) / self.reals


def _radii(found: Nearest, k: int, without: int | None) -> Float32[Tensor, " n"]:
    return found.radii(k) if without is None else found.radii_without(without, k)
