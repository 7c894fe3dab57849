from typing import Any

import pytest
import torch
from torch import Tensor
from torch_fidelity import metric_kid
from torch_fidelity.metric_kid import kid_features_to_metric

from mmgan.scoring import kernel
from mmgan.scoring.kernel import kernel_distance


def features(count: int, seed: int, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 64, generator=generator).add(shift).relu()


def refuse(*args: Any, **kwargs: Any) -> None:
    raise AssertionError("this way should not have been taken")


@pytest.mark.parametrize(
    ("fakes", "reals", "subsets", "size"), [(90, 70, 20, 50), (60, 60, 4, 60), (300, 200, 100, 100)]
)
def test_looked_up_kernels_give_torch_fidelitys_numbers(
    fakes: int, reals: int, subsets: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = features(fakes, 0), features(reals, 1, 0.05)
    expected = kid_features_to_metric(x, y, kid_subsets=subsets, kid_subset_size=size, rng_seed=7, verbose=False)
    monkeypatch.setattr(metric_kid, "kid_features_to_metric", refuse)
    found = kernel_distance(x, y, subsets=subsets, size=size, seed=7)
    # differences of float32 means near 3, so that matrix products of another shape differ by their rounding
    assert found == pytest.approx(expected, rel=1e-6, abs=5e-7)


def test_the_kernel_is_multiplied_three_times_whatever_the_subsets(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    multiply = metric_kid.kernel_poly

    def counted(x: Any, y: Any) -> Any:
        shapes.append((len(x), len(y)))
        return multiply(x, y)

    monkeypatch.setattr(metric_kid, "kernel_poly", counted)
    kernel_distance(features(90, 0), features(70, 1), subsets=30, size=50, seed=0)
    assert shapes == [(90, 90), (90, 70), (70, 70)]


def test_sets_with_more_pairs_than_the_subsets_take_them_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = features(300, 0), features(200, 1)
    expected = kid_features_to_metric(x, y, kid_subsets=3, kid_subset_size=50, rng_seed=7, verbose=False)
    monkeypatch.setattr(kernel, "_part", refuse)
    assert kernel_distance(x, y, subsets=3, size=50, seed=7) == expected
    monkeypatch.setattr(kernel, "MOST_ENTRIES", 1000)
    kernel_distance(x, y, subsets=100, size=100, seed=7)
