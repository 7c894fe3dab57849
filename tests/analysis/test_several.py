"""Holm's correction against a by-hand computation and its definition; p-values against scipy and the interval."""

import itertools

import numpy as np
import pytest
from scipy import stats

from mmgan.analysis.seeds import paired_difference
from mmgan.analysis.several import holm, paired_p_value


def test_holm_by_hand() -> None:
    # Sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1, the last no smaller than the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


@pytest.mark.parametrize("seed", range(5))
def test_holm_rejects_what_the_stepwise_procedure_rejects(seed: int) -> None:
    p = np.random.default_rng(seed).uniform(0, 0.06, 7)
    rejected = set()
    for step, i in enumerate(np.argsort(p)):
        if p[i] > 0.05 / (7 - step):
            break
        rejected.add(int(i))
    assert {i for i, adjusted in enumerate(holm(list(p))) if adjusted <= 0.05} == rejected


def test_holm_does_not_depend_on_the_order() -> None:
    values = [0.02, 0.02, 0.001, 0.3]
    wanted = dict(zip(values, holm(values), strict=True))
    for order in itertools.permutations(values):
        assert holm(order) == pytest.approx([wanted[p] for p in order])


def test_the_p_value_is_the_paired_t_tests() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 6))
    assert paired_p_value(a, b) == pytest.approx(stats.ttest_rel(a, b).pvalue)
    d = paired_difference(a, b, confidence=1 - paired_p_value(a, b))
    assert min(abs(d.low), abs(d.high)) == pytest.approx(0, abs=1e-9)


def test_differences_that_are_all_equal() -> None:
    assert paired_p_value([1.0, 2.0], [1.0, 2.0]) == 1.0
    assert paired_p_value([2.0, 3.0], [1.0, 2.0]) == 0.0
