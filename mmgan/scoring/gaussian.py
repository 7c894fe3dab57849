"""The maximum mean discrepancy with a Gaussian kernel (CMMD, Jayasumana et al. 2024)."""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from torch.nn.functional import normalize

from mmgan.scoring.estimate import Estimate
from mmgan.scoring.frechet import Array
from mmgan.scoring.jackknife import GROUPS, Groups, jackknife

SIGMA = 10.0
"""Width of the kernel, as published."""

SCALE = 1000.0
"""The squared discrepancy is multiplied by it, as published."""

ROWS = 1000


def gaussian_mmd(
    fake: Float32[Tensor, "n d"], real: Float32[Tensor, "m d"], groups: tuple[Groups, Groups] | None = None
) -> Estimate:
    """1000 times the squared discrepancy for k(x, y) = exp(-|x - y|^2 / (2 * 10^2)), with rows scaled to unit length.

    The paper's number is this one on the features of CLIP ViT-L/14-336; numbers of other features cannot be compared
    with it. As in the paper's program it is the mean over all pairs, a row with itself among them, which is never
    negative and biased by about (1 - the mean kernel value) * 1000 / n.

    Args:
        fake, real: at least one row each.
        groups: of the fakes and of the reals, for an interval; None: no interval.
    """
    (fake_groups, real_groups), count = ([np.zeros(len(x), np.int64) for x in (fake, real)], 1)
    if groups is not None:
        (fake_groups, real_groups), count = groups, GROUPS
    sides = [_by_group(x, g, count) for x, g in ((fake, fake_groups), (real, real_groups))]
    xx, xy, yy = (_sums(*a, *b) for a, b in ((sides[0], sides[0]), (sides[0], sides[1]), (sides[1], sides[1])))
    n, m = (sizes for _, sizes in sides)
    value = _discrepancy(xx.sum(), xy.sum(), yy.sum(), n.sum(), m.sum())
    if groups is None:
        return Estimate(value)
    left = [~np.eye(count, dtype=bool)[g] for g in range(count)]
    sums = ([K[i][:, i].sum() for K in (xx, xy, yy)] + [n[i].sum(), m[i].sum()] for i in left)
    return jackknife(value, [_discrepancy(*parts) for parts in sums])


def _discrepancy(xx: float, xy: float, yy: float, n: float, m: float) -> float:
    """From sums of 1 - k, which keep the digits that sums of k, all close to 1, would lose."""
    return max(0.0, float(SCALE * (2 * xy / (n * m) - xx / n**2 - yy / m**2)))


def _by_group(x: Float32[Tensor, "n d"], groups: Groups, count: int) -> tuple[Float32[Tensor, "n d"], Groups]:
    """The rows at unit length, one group after the other, and the sizes of the groups."""
    order = torch.from_numpy(np.argsort(groups, kind="stable"))
    return normalize(x, dim=1)[order], np.bincount(groups, minlength=count)


def _sums(x: Float32[Tensor, "n d"], n: Groups, y: Float32[Tensor, "m d"], m: Groups) -> Array:
    """The sums of 1 - k over the pairs of each group of x and each group of y: (count, count), float64."""
    columns = np.concatenate([[0], np.cumsum(m)])
    found = np.zeros((len(n), len(m)))
    for g, rows in enumerate(torch.split(x, n.tolist())):
        for block in torch.split(rows, ROWS):
            squared = (2 - 2 * block @ y.T).clamp_min_(0)  # (b, m)
            total = squared.div_(-2 * SIGMA**2).expm1_().neg_().sum(0, dtype=torch.float64).numpy()  # (m,)
            found[g] += [total[a:b].sum() for a, b in pairwise(columns)]
    return found
