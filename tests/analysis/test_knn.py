from inspect import unwrap

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from mmgan.analysis.knn import knn_error_percent
from mmgan.errors import UserError


@pytest.mark.parametrize("k", [1, 5, 20])
def test_the_error_on_digits_equals_scikit_learn(k):
    x, y = load_digits(return_X_y=True)
    x = x + np.random.default_rng(0).uniform(0, 1e-3, x.shape)  # no two distances are equal: ties are another test
    expected = KNeighborsClassifier(k, algorithm="brute").fit(x[:1000], y[:1000]).score(x[1000:], y[1000:])
    features, labels = torch.from_numpy(x), torch.from_numpy(y)
    error = knn_error_percent(features[:1000], labels[:1000], features[1000:], labels[1000:], k=k)
    assert error == pytest.approx(100 - 100 * expected)


def test_chunks_do_not_change_the_error_even_with_ties():
    generator = torch.Generator().manual_seed(0)
    features = torch.randint(0, 3, (400, 4), generator=generator).float()
    labels = torch.randint(0, 5, (400,), generator=generator)
    errors = {
        knn_error_percent(features[:200], labels[:200], features[200:], labels[200:], k=3, chunk=chunk)
        for chunk in (1, 7, 200, 1000)
    }
    assert len(errors) == 1


def test_a_far_away_centre_loses_no_precision():
    bank = torch.tensor([[1e6], [1e6 + 1], [1e6 + 2]])
    assert knn_error_percent(bank, torch.arange(3), bank, torch.arange(3), k=1) == 0


def test_of_equally_near_neighbours_the_earlier_counts():
    bank, query = torch.tensor([[1.0], [-1.0], [1.0]]), torch.tensor([[0.0]])
    assert knn_error_percent(bank, torch.tensor([2, 1, 0]), query, torch.tensor([2]), k=1) == 0
    # Two of three at one distance: the first two vote, so 1 has two votes.
    assert knn_error_percent(bank, torch.tensor([1, 1, 0]), query, torch.tensor([1]), k=2) == 0


def test_of_classes_with_equal_votes_the_lower_wins():
    bank, query = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0]])
    assert knn_error_percent(bank, torch.tensor([4, 3]), query, torch.tensor([3]), k=2) == 0


def test_bad_arguments_are_refused():
    h, y = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)
    for k in (0, 4):
        with pytest.raises(UserError, match="choose 1 to 3"):
            knn_error_percent(h, y, h, y, k=k)
    with pytest.raises(UserError, match="chunk = 0"):
        knn_error_percent(h, y, h, y, k=1, chunk=0)
    with pytest.raises(UserError, match="2 wide and the others 5"):
        unwrap(knn_error_percent)(h, y, torch.zeros(3, 5), y)
