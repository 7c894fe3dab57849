import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mmgan.scoring.gaussian import gaussian_mmd
from mmgan.scoring.jackknife import GROUPS, jackknife, random_groups


def rows(count: int, seed: int, shift: float = 0.0, dims: int = 12) -> Tensor:
    return torch.randn(count, dims, generator=torch.Generator().manual_seed(seed)) + shift


def by_hand(fake: Tensor, real: Tensor) -> float:
    x, y = (side.double() / side.double().norm(dim=1, keepdim=True) for side in (fake, real))
    means = [torch.exp(-torch.cdist(a, b).square() / 200).mean().item() for a, b in ((x, x), (y, y), (x, y))]
    return 1000 * (means[0] + means[1] - 2 * means[2])


@pytest.mark.parametrize(("fakes", "reals"), [(50, 70), (1100, 40)])
@pytest.mark.parametrize("grouped", [False, True])
def test_the_formula(fakes: int, reals: int, grouped: bool) -> None:
    fake, real = rows(fakes, 0), rows(reals, 1, 0.4)
    found = gaussian_mmd(fake, real, random_groups(fakes, reals, 0) if grouped else None)
    assert found.value == pytest.approx(by_hand(fake, real), rel=1e-5)
    assert (found.deviation is not None) == grouped


def test_equal_sets_are_at_zero_and_lengths_do_not_count() -> None:
    x = rows(60, 0)
    assert gaussian_mmd(x, x.clone()).value == pytest.approx(0, abs=1e-9)
    assert math.copysign(1, gaussian_mmd(x, x.clone()).value) == 1
    assert gaussian_mmd(3 * x, rows(60, 1)).value == pytest.approx(gaussian_mmd(x, rows(60, 1)).value, rel=1e-5)
    assert gaussian_mmd(x, rows(60, 1, 1.0)).value > 5 * gaussian_mmd(x, rows(60, 1)).value


def test_replicates_are_the_scores_without_a_group() -> None:
    fake, real = rows(61, 0), rows(83, 1, 0.4)
    groups = random_groups(61, 83, 0)
    kept = [[torch.from_numpy(side != g) for side in groups] for g in range(GROUPS)]
    expected = jackknife(0, [gaussian_mmd(fake[i], real[j]).value for i, j in kept])
    assert gaussian_mmd(fake, real, groups).deviation == pytest.approx(expected.deviation, rel=1e-5)
    assert np.isfinite(expected.deviation)
