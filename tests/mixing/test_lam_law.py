"""The law of lam: Kolmogorov-Smirnov against scipy's distributions, at fixed seeds."""

import numpy as np
import pytest
from scipy import stats

from mmgan import PermutationPolicy, RealFakePolicy

STEPS, ROWS = 40, 100


def drawn(policy: PermutationPolicy | RealFakePolicy) -> np.ndarray:
    return np.concatenate([policy.draw(ROWS, step=t, seed=5).lam.double().numpy() for t in range(STEPS)])


def folded_cdf(alpha: float):  # type: ignore[no-untyped-def]
    """min(lam, 1 - lam) <= t  iff  lam <= t or lam >= 1 - t."""
    return lambda t: np.where(t >= 0.5, 1.0, 2 * stats.beta.cdf(t, alpha, alpha))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.0, 8.0])
@pytest.mark.parametrize("policy", [PermutationPolicy, RealFakePolicy])
def test_beta(policy: type, alpha: float) -> None:
    lam = drawn(policy("1", alpha=alpha, lam="beta", per="example"))
    assert stats.kstest(lam, stats.beta(alpha, alpha).cdf).pvalue > 0.01
    assert stats.kstest(lam, stats.beta(alpha * 1.3, alpha * 1.3).cdf).pvalue < 1e-3  # the test can tell


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("policy", [PermutationPolicy, RealFakePolicy])
def test_uniform(policy: type, alpha: float) -> None:
    lam = drawn(policy("1", alpha=alpha, lam="uniform", per="example"))
    assert stats.kstest(lam, stats.uniform(0, alpha).cdf).pvalue > 0.01
    assert stats.kstest(lam, stats.uniform(0, alpha * 1.1).cdf).pvalue < 1e-3


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.0])
@pytest.mark.parametrize("policy", [PermutationPolicy, RealFakePolicy])
def test_folded_beta(policy: type, alpha: float) -> None:
    lam = drawn(policy("1", alpha=alpha, lam="folded-beta", per="example"))
    assert lam.max() <= 0.5
    assert stats.kstest(lam, folded_cdf(alpha)).pvalue > 0.01
    assert stats.kstest(lam, folded_cdf(alpha * 1.3)).pvalue < 1e-3


@pytest.mark.parametrize("policy", [PermutationPolicy, RealFakePolicy])
def test_the_defaults_are_the_papers(policy: type) -> None:
    law = stats.beta(2, 2) if policy is PermutationPolicy else stats.uniform(0, 0.5)
    lam = np.array([policy("1").draw(8, step=t).lam[0].item() for t in range(2000)])
    assert stats.kstest(lam, law.cdf).pvalue > 0.01


def test_one_lam_a_batch_or_one_a_row_by_default() -> None:
    assert len(PermutationPolicy("1").draw(50).lam.unique()) == 1
    assert len(RealFakePolicy("1").draw(50).lam.unique()) == 50


@pytest.mark.parametrize("policy", [PermutationPolicy, RealFakePolicy])
def test_per_batch_follows_the_law_over_steps(policy: type) -> None:
    plans = [policy("1", alpha=0.5, lam="uniform", per="batch").draw(6, step=t) for t in range(2000)]
    assert all(len(plan.lam.unique()) == 1 for plan in plans)
    assert stats.kstest([plan.lam[0].item() for plan in plans], stats.uniform(0, 0.5).cdf).pvalue > 0.01


def test_lam_is_independent_of_the_kind_of_pair_and_of_its_place() -> None:
    plans = [RealFakePolicy("1").draw(ROWS, step=t) for t in range(STEPS)]
    lam = np.concatenate([plan.lam.numpy() for plan in plans])
    kind = np.concatenate([(2 * (plan.left >= ROWS) + (plan.right >= ROWS)).numpy() for plan in plans])
    for a in (1, 2, 3):
        assert stats.kstest(lam[kind == a], stats.uniform(0, 0.5).cdf).pvalue > 0.01
    place = np.tile(np.arange(ROWS), STEPS)
    assert abs(stats.spearmanr(lam, place).statistic) < 0.05
