import numpy as np
import pytest
import torch

from mmgan.analysis.spectra import (
    average_spectrum,
    average_summary,
    class_singular_values,
    singular_values,
    summarize,
)
from mmgan.errors import UserError

CLASSES = torch.tensor([0, 0, 0, 0, 0, 0, 0, 2, 2, 2] * 3)


def drawn() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(1, 2, (30, 12))).float()


@pytest.mark.parametrize("center", [False, True])
def test_values_are_the_roots_of_the_gram_matrix(center):
    h = drawn()
    x = h.double().numpy() - (h.double().numpy().mean(0) if center else 0)
    expected = np.sqrt(np.linalg.eigvalsh(x.T @ x)[::-1])
    np.testing.assert_allclose(singular_values(h, center=center), expected, rtol=1e-6)


def test_values_that_were_put_in_come_out():
    rng = np.random.default_rng(0)
    u, v = np.linalg.qr(rng.normal(size=(20, 4)))[0], np.linalg.qr(rng.normal(size=(4, 4)))[0]
    h = torch.from_numpy(u @ np.diag([7.0, 5.0, 2.0, 0.0]) @ v)
    np.testing.assert_allclose(singular_values(h), [7, 5, 2, 0], atol=1e-12)
    found = summarize(singular_values(h))
    assert (found.largest, found.rest) == pytest.approx((7, 7))


def test_classes_are_decomposed_alone_and_absent_ones_left_out():
    h = drawn()
    spectra = class_singular_values(h, CLASSES, center=True)
    assert list(spectra) == [0, 2]
    for label, values in spectra.items():
        rows = h[label == CLASSES].double().numpy()
        np.testing.assert_allclose(values, np.linalg.svd(rows - rows.mean(0), compute_uv=False), atol=1e-9)
    assert len(spectra[2]) == 9  # 9 rows of width 12


def test_centred_values_do_not_see_where_the_class_lies_and_plain_ones_do():
    h = drawn()
    moved = h + 100 * CLASSES[:, None]
    for label, values in class_singular_values(h, CLASSES, center=True).items():
        np.testing.assert_allclose(values, class_singular_values(moved, CLASSES, center=True)[label], atol=1e-3)
    assert class_singular_values(moved, CLASSES)[2][0] > 10 * class_singular_values(h, CLASSES)[2][0]


def test_flat_classes_have_no_rest_but_overall_they_have():
    # One line through the origin a class (Section 3.1: few directions a class, all of them together many).
    directions = torch.eye(3)[torch.arange(30) % 3]
    h = directions * torch.linspace(1, 2, 30)[:, None]
    assert average_summary(class_singular_values(h, torch.arange(30) % 3)).rest == pytest.approx(0, abs=1e-9)
    assert summarize(singular_values(h)).rest > 5


def test_values_grow_with_the_root_of_the_number_of_rows():
    h = drawn()
    np.testing.assert_allclose(singular_values(h.repeat(4, 1)), 2 * singular_values(h), rtol=1e-9)


def test_averages_over_classes_weigh_classes_alike():
    spectra = {0: torch.tensor([4.0, 2.0, 1.0]).double(), 5: torch.tensor([2.0]).double()}
    found = average_summary(spectra)
    assert (found.largest, found.rest) == (3, 1.5)
    assert average_spectrum(spectra).tolist() == [3, 1, 0.5]


def test_features_that_diverged_are_refused():
    with pytest.raises(UserError, match="diverged"):
        singular_values(torch.tensor([[1.0, float("nan")]]))
