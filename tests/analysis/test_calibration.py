import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve

from mmgan.analysis.calibration import expected_calibration_error, reliability_curve
from mmgan.errors import UserError


def drawn(n: int = 500, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(1)
    return torch.from_numpy(2 * rng.normal(size=(n, classes))), torch.from_numpy(rng.integers(0, classes, n))


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_the_curve_equals_scikit_learn(bins):
    logits, labels = drawn()
    confidence, predicted = logits.softmax(1).max(1)
    accuracy, mean_confidence = calibration_curve(predicted == labels, confidence, n_bins=bins)
    curve = reliability_curve(logits, labels, bins)
    np.testing.assert_allclose([a for a in curve.accuracy if a is not None], accuracy)
    np.testing.assert_allclose([c for c in curve.confidence if c is not None], mean_confidence)
    counts = np.array([n for n in curve.count if n])
    assert sum(curve.count) == 500
    assert len(curve.count) == len(curve.accuracy) == len(curve.edges) - 1 == bins
    ece = float((counts * abs(accuracy - mean_confidence)).sum() / 500)
    assert expected_calibration_error(logits, labels, bins) == pytest.approx(ece)


def test_the_error_by_hand():
    # Two rows at confidence 0.8, one of them right; two at 0.6, both right: (2 * 0.3 + 2 * 0.4) / 4.
    probabilities = torch.tensor([[0.8, 0.2], [0.8, 0.2], [0.6, 0.4], [0.4, 0.6]], dtype=torch.float64)
    labels = torch.tensor([0, 1, 0, 1])
    curve = reliability_curve(probabilities.log(), labels, bins=5)
    # bins (0.4, 0.6] and (0.6, 0.8], give or take rounding at their upper edges
    assert expected_calibration_error(probabilities.log(), labels, bins=10) == pytest.approx(0.35)
    assert curve.count[:2] == (0, 0)
    assert curve.confidence[0] is None
    assert curve.accuracy[0] is None


def test_an_edge_belongs_to_the_bin_below_and_certainty_to_the_last():
    curve = reliability_curve(torch.tensor([[0.0, 0.0], [900.0, 0.0]]), torch.tensor([0, 0]), bins=2)
    assert curve.edges == (0, 0.5, 1)
    assert curve.count == (1, 1)


def test_answers_drawn_from_the_softmax_are_calibrated_and_sharpened_ones_are_not():
    logits, _ = drawn(20_000)
    labels = torch.multinomial(logits.softmax(1), 1, generator=torch.Generator().manual_seed(0)).squeeze(1)
    assert expected_calibration_error(logits, labels) < 0.02
    assert expected_calibration_error(3 * logits, labels) > 0.1


def test_no_bins_are_refused():
    with pytest.raises(UserError, match="0 bins"):
        reliability_curve(*drawn(), bins=0)
