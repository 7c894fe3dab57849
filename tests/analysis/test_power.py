import numpy as np
import pytest
from scipy import stats

from mmgan.analysis.power import detectable_effect, pairs_needed, power
from mmgan.analysis.seeds import paired_difference
from mmgan.errors import UserError


@pytest.mark.slow(1)
def test_power_is_how_often_the_interval_leaves_zero_out():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.7, 1.3, (1500, 9))
    seen = [not d.low <= 0 <= d.high for d in (paired_difference(row, np.zeros(9)) for row in differences)]
    assert np.mean(seen) == pytest.approx(power(0.7, 1.3, 9), abs=0.035)  # three standard errors


def test_without_an_effect_one_interval_in_twenty_leaves_zero_out():
    assert power(0.0, 1.0, 7) == pytest.approx(0.05, abs=1e-3)


def test_power_against_the_noncentral_t():
    for effect, n in ((0.2, 40), (0.9, 12), (1.5, 5), (-2.0, 3)):
        t, shift = stats.t.ppf(0.975, n - 1), abs(effect) * np.sqrt(n)
        expected = stats.nct.sf(t, n - 1, shift) + stats.nct.cdf(-t, n - 1, shift)
        assert power(effect, 1.0, n) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("effect", "n"), [(0.5, 34), (0.8, 15), (1.0, 10)])
def test_pairs_of_cohens_tables(effect: float, n: int):
    assert pairs_needed(effect, 1.0) == n  # one-sample t test, two-sided 5 %, 80 % (Cohen 1988)


def test_one_pair_fewer_is_too_few():
    n = pairs_needed(-0.3, 0.9)
    assert power(0.3, 0.9, n) >= 0.8 > power(0.3, 0.9, n - 1)


@pytest.mark.parametrize("n", [2, 3, 5, 50])
def test_the_detectable_effect_is_detected(n: int):
    assert power(detectable_effect(2.5, n), 2.5, n) == pytest.approx(0.8)
    assert detectable_effect(0.0, 5) == 0.0


@pytest.mark.parametrize(("effect", "sd"), [(0.0, 1.0), (1.0, 0.0), (1.0, -1.0), (1e-6, 1.0)])
def test_what_no_number_of_seeds_shows(effect: float, sd: float):
    with pytest.raises(UserError, match="seeds"):
        pairs_needed(effect, sd)
