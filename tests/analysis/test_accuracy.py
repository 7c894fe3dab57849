import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, top_k_accuracy_score

from mmgan.analysis.accuracy import error_percent, nll, top_k_error_percent
from mmgan.analysis.input_checks import check_features, check_images, check_labels, check_logits
from mmgan.errors import UserError


@pytest.fixture
def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    return torch.from_numpy(3 * rng.normal(size=(300, 9))).float(), torch.from_numpy(rng.integers(0, 9, 300))


def test_error_top_k_and_nll_equal_scikit_learn(drawn):
    logits, labels = drawn
    probabilities = logits.double().softmax(1).numpy()
    assert error_percent(logits, labels) == pytest.approx(100 - 100 * accuracy_score(labels, probabilities.argmax(1)))
    for k in (1, 2, 5, 8):
        expected = 100 - 100 * top_k_accuracy_score(labels, probabilities, k=k)
        assert top_k_error_percent(logits, labels, k) == pytest.approx(expected)
    assert top_k_error_percent(logits, labels, 9) == 0
    assert nll(logits, labels) == pytest.approx(log_loss(labels, probabilities, labels=range(9)), rel=1e-9)


def test_confident_mistakes_have_their_full_nll():
    # A float32 softmax would underflow to log(0).
    assert nll(torch.tensor([[200.0, 0.0]]), torch.tensor([1])) == pytest.approx(200)


def test_of_equal_logits_the_lower_class_counts_as_the_larger():
    constant = torch.zeros(4, 4)
    labels = torch.arange(4)
    assert error_percent(constant, labels) == 75
    assert top_k_error_percent(constant, labels, k=3) == 25


def test_bfloat16_logits_and_int32_labels_are_read_as_they_are(drawn):
    logits, labels = drawn
    rounded = logits.bfloat16()
    assert nll(rounded, labels.int()) == nll(rounded.double(), labels)


@pytest.mark.parametrize("k", [0, 10])
def test_k_outside_the_classes_is_refused(drawn, k):
    with pytest.raises(UserError, match="choose 1 to 9"):
        top_k_error_percent(*drawn, k=k)


@pytest.mark.parametrize(
    ("logits", "labels", "what"),
    [
        (torch.zeros(2, 3), torch.tensor([0, 3]), "label 3 is outside the classes"),
        (torch.zeros(2, 3), torch.tensor([-1, 2]), "label -1 is outside the classes"),
        (torch.zeros(2, 3), torch.tensor([0]), "1 labels for 2 rows"),
        (torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), "at least one"),
        (torch.zeros(2, 3), torch.zeros(2), "labels must be integers"),
        (torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.int64), "labels must be integers"),
        (torch.zeros(2), torch.zeros(2, dtype=torch.int64), "logits must be float"),
        (torch.tensor([[0.0, float("nan")], [0, 0]]), torch.tensor([0, 0]), "1 of 2 rows of logits are NaN"),
    ],
)
def test_what_gives_no_honest_number_is_refused(logits, labels, what):
    with pytest.raises(UserError, match=what):
        check_logits(logits, labels)


@pytest.mark.parametrize(
    ("images", "what"),
    [
        (torch.zeros(1, 1, 2, 2, dtype=torch.uint8), "must be float"),
        (torch.zeros(1, 2, 2), "must be float"),
        (torch.zeros(0, 1, 2, 2), "N > 0"),
        (torch.full((1, 1, 2, 2), 1.5), "reach from 1.5 to 1.5"),
        (torch.full((1, 1, 2, 2), float("nan")), "must lie in"),
    ],
)
def test_images_that_are_none_are_refused(images, what):
    with pytest.raises(UserError, match=what):
        check_images(images)


def test_features_that_are_none_are_refused():
    one = torch.zeros(1, dtype=torch.int64)
    with pytest.raises(UserError, match="flatten"):
        check_features(torch.zeros(1, 2, 2), one)
    with pytest.raises(UserError, match="diverged"):
        check_features(torch.tensor([[float("inf")]]), one)
    check_labels(torch.tensor([70]), 1)  # without a number of classes any label of 0 or more is one
