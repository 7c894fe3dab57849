"""Do the intervals hold what they say? Many pairs of sets from one pair of distributions."""

import numpy as np
import pytest
import torch

from mmgan.scoring.estimate import Estimate
from mmgan.scoring.extrapolated import frechet_extrapolated
from mmgan.scoring.frechet import frechet_distance, moments
from mmgan.scoring.gaussian import gaussian_mmd
from mmgan.scoring.influence import frechet_influences, sampling_deviation
from mmgan.scoring.jackknife import jackknife, random_groups
from mmgan.scoring.manifold import manifold_scores


def estimates(trial: int) -> dict[str, Estimate]:
    """All measures of 120 fakes and 150 reals of four dimensions."""
    generator = torch.Generator().manual_seed(trial)
    x, y = torch.randn(120, 4, generator=generator) * 1.2 + 0.5, torch.randn(150, 4, generator=generator)
    groups = random_groups(120, 150, trial)
    real, fake = moments(y), moments(x)
    psi = frechet_influences(x, fake, y, real)
    infinite = frechet_extrapolated(x, real, trial)
    return {
        **manifold_scores(x, y, groups=groups),
        "mmd": gaussian_mmd(x, y, groups),
        "fd": Estimate(frechet_distance(fake, real), sampling_deviation(*psi)),
        "extrapolated": Estimate(infinite.value, sampling_deviation(*psi, infinite.weights)),
    }


@pytest.mark.slow(1)
def test_intervals_hold_the_mean_about_as_often_as_they_say() -> None:
    trials = [estimates(trial) for trial in range(40)]
    for name in trials[0]:
        mean = np.mean([found[name].value for found in trials])
        ends = [found[name].interval() for found in trials]
        hits = np.mean([low <= mean <= high for low, high in ends])
        assert hits >= 0.85, name  # 0.95 less three standard errors of 40 trials
        spread = np.std([found[name].value for found in trials])
        stated = np.mean([found[name].deviation for found in trials])
        assert 0.8 * spread < stated < 2 * spread, name  # the jackknife overstates where neighbours decide


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    x = np.random.default_rng(0).standard_normal(400)
    groups = random_groups(400, 400, 0)[0]
    found = jackknife(x.mean(), [x[groups != g].mean() for g in range(20)])
    by_groups = np.std([x[groups == g].mean() for g in range(20)], ddof=1) / np.sqrt(20)
    assert found.deviation == pytest.approx(by_groups, rel=1e-9)
    low, high = found.interval(0.95)
    assert high - found.value == pytest.approx(found.value - low)
    assert high - found.value == pytest.approx(2.093024 * found.deviation, rel=1e-6)  # t(19)
    assert Estimate(0.0, 1.0).interval()[1] == pytest.approx(1.959964, rel=1e-6)
    with pytest.raises(ValueError, match="no interval"):
        Estimate(1.0).interval()
