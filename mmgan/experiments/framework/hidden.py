"""The geometry of classes in a hidden space: distance, spread, flatness."""

import math
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mmgan.analysis.spectra import class_singular_values


@dataclass(frozen=True)
class ClassGeometry:
    """Lengths in the units of the hidden space, each a mean over classes (or pairs of classes).

    A network can undo any scale of its hidden states in the next layer, so only the ratios compare networks.
    """

    separation: float  # distance between the means of two classes, over all pairs
    spread: float  # root mean square distance of a class's rows from their mean
    largest: float  # deviation along a class's main direction: largest centred singular value / sqrt(rows)
    rest: float  # the same for all other directions, summed

    @property
    def relative_spread(self) -> float:
        """Spread in units of the separation: how concentrated the classes are."""
        return self.spread / self.separation

    @property
    def thickness(self) -> float:
        """Rest in units of the separation: how far the classes are from lines; 0 for points and lines."""
        return self.rest / self.separation

    @property
    def rest_share(self) -> float:
        """Rest over the sum of all deviations; it does not depend on the size of a cloud."""
        return self.rest / (self.rest + self.largest)


def class_geometry(hidden: Float[Tensor, "n d"], labels: Int64[Tensor, " n"]) -> ClassGeometry:
    """Measure the classes' clouds.

    Args:
        hidden: representations, a row an example.
        labels: their classes; two or more classes.

    Raises:
        UserError: for values that are not finite.
    """
    h = hidden.detach().cpu().double()
    spectra = class_singular_values(h, labels, center=True)
    means = {c: h[labels == c].mean(dim=0) for c in spectra}  # (d,) each
    deviations = {c: values / int((labels == c).sum()) ** 0.5 for c, values in spectra.items()}
    distances = [float((means[a] - means[b]).norm()) for a, b in combinations(spectra, 2)]
    count = len(spectra)
    return ClassGeometry(
        separation=sum(distances) / len(distances),
        spread=sum(float(values.norm()) for values in deviations.values()) / count,
        largest=sum(float(values[0]) for values in deviations.values()) / count,
        rest=sum(float(values[1:].sum()) for values in deviations.values()) / count,
    )


def nearest_distances(points: Float[Tensor, "n d"], others: Float[Tensor, "m d"]) -> Float[Tensor, " n"]:
    """Euclidean distance of each point from the nearest of the others."""
    return torch.cat([torch.cdist(part, others).amin(dim=1) for part in torch.split(points, 1024)])


def ellipse_area(points: Float[Tensor, "n 2"]) -> float:
    """Area of the ellipse of two standard deviations, 4 pi sqrt(det C); a normal cloud has 86 % of its points in it."""
    covariance = torch.cov(points.detach().cpu().double().T)  # (2, 2)
    return 4 * math.pi * math.sqrt(max(float(torch.linalg.det(covariance)), 0.0))


def occupied_share(points: Float[Tensor, "n 2"], labels: Int64[Tensor, " n"]) -> float:
    """Areas of the classes' ellipses, summed, over the area of the ellipse of all points; above 1 they overlap."""
    return sum(ellipse_area(points[labels == c]) for c in set(labels.tolist())) / ellipse_area(points)


def nearest_gap(hidden: Float[Tensor, "n d"], labels: Int64[Tensor, " n"], tail: float = 0.1) -> float:
    """The margin between a class and its nearest one, a mean over classes, in units of the distance of class means.

    Of two classes: the gap, along the line through their means, between the quantiles that leave `tail` of either class
    on the other's side; negative where they overlap. The unit is the mean distance over all pairs of classes.
    """
    h = hidden.detach().cpu().double()
    rows = {c: h[labels == c] for c in sorted(set(labels.tolist()))}
    gaps, distances = dict.fromkeys(rows, math.inf), []
    for a, b in combinations(rows, 2):
        line = rows[b].mean(dim=0) - rows[a].mean(dim=0)
        distances.append(float(line.norm()))
        along_a, along_b = (rows[c] @ (line / line.norm()) for c in (a, b))
        gap = float(along_b.quantile(tail) - along_a.quantile(1 - tail))
        gaps[a], gaps[b] = min(gaps[a], gap), min(gaps[b], gap)
    return (sum(gaps.values()) / len(gaps)) / (sum(distances) / len(distances))
