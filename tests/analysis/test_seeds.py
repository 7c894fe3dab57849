import numpy as np
import pytest
from scipy import stats

from mmgan.analysis.seeds import paired_difference
from mmgan.errors import UserError


@pytest.mark.parametrize(("n", "confidence"), [(2, 0.95), (3, 0.9), (10, 0.99)])
def test_the_interval_equals_scipys_paired_t_test(n, confidence):
    rng = np.random.default_rng(n)
    a, b = rng.normal(8, 1, n), rng.normal(7, 2, n)
    found = paired_difference(a.tolist(), b.tolist(), confidence)
    expected = stats.ttest_rel(a, b).confidence_interval(confidence)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.mean == pytest.approx(a.mean() - b.mean())
    assert found.sd == pytest.approx(np.std(a - b, ddof=1))
    assert (found.n, found.confidence) == (n, confidence)


def test_turning_the_pair_round_turns_the_interval_round():
    one, other = paired_difference([1, 2, 4], [0, 3, 1]), paired_difference([0, 3, 1], [1, 2, 4])
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_a_constant_difference_has_no_width():
    found = paired_difference([1.5, 2.5], [1, 2])
    assert (found.low, found.mean, found.high, found.sd) == (0.5, 0.5, 0.5, 0)


@pytest.mark.parametrize(
    ("a", "b", "confidence", "what"),
    [
        ([1, 2], [1], 0.95, "2 and 1 values"),
        ([1], [1], 0.95, "two or more"),
        ([1, 2], [1, 2], 95, "between 0 and 1"),
        ([1, float("nan")], [1, 2], 0.95, "NaN"),
    ],
)
def test_what_cannot_be_compared_is_refused(a, b, confidence, what):
    with pytest.raises(UserError, match=what):
        paired_difference(a, b, confidence)
