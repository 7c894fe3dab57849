"""Minimisers of the Manifold Mixup loss against NumPy, and the quick run of Theorem 1."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mmgan.experiments.framework.outcome import Outcome, Place
from mmgan.experiments.theorem.minimisers import (
    closed_form,
    free_directions,
    least_linear_loss,
    mixup_loss,
    numerical_rank,
    trained,
)
from mmgan.experiments.theorem.theorem import run
from mmgan.experiments.theorem.theorem_findings import compare_theorem

pytestmark = pytest.mark.slow(4)


def labels(d: int, per_class: int) -> tuple[Tensor, Tensor]:
    classes = torch.arange(d).repeat(per_class)
    return classes, torch.eye(d, dtype=torch.float64)[classes]


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_the_loss_is_the_mean_over_drawn_pairs_and_lam(alpha: float) -> None:
    random = np.random.default_rng(0)
    h, y, w = random.normal(size=(4, 2)), random.normal(size=(4, 3)), random.normal(size=(2, 3))
    m = 200_000
    i = random.integers(4, size=m)
    j = (i + random.integers(1, 4, size=m)) % 4  # any other
    lam = random.beta(alpha, alpha, size=(m, 1))
    error = np.sin((lam * h[i] + (1 - lam) * h[j]) @ w) - (lam * y[i] + (1 - lam) * y[j])
    drawn = (error**2).sum(axis=1)
    weights = torch.from_numpy(w)
    got = float(mixup_loss(lambda x: (x @ weights).sin(), torch.from_numpy(h), torch.from_numpy(y), alpha, 40))
    assert abs(got - drawn.mean()) < 4 * drawn.std() / m**0.5


def test_two_nodes_are_exact_for_a_linear_f() -> None:
    h, y, w = (torch.from_numpy(np.random.default_rng(1).normal(size=size)) for size in ((5, 2), (5, 3), (2, 3)))
    few, many = (float(mixup_loss(lambda x: x @ w, h, y, 0.7, nodes)) for nodes in (2, 30))
    assert few == pytest.approx(many, rel=1e-12)
    assert few != pytest.approx(float(mixup_loss(lambda x: x @ w, h, y, 0.7, 1)), rel=1e-3)


@pytest.mark.parametrize("d", [2, 3, 6])
def test_the_closed_form_solves_the_proofs_equation_from_d_minus_1_dimensions_on(d: int) -> None:
    for dim in range(1, d + 3):
        a, h, b = (t.numpy() for t in closed_form(d, dim, seed=3))
        assert a.shape == h.shape == (dim, d)
        residual = a.T @ h + np.outer(b, np.ones(d)) - np.eye(d)
        left = max(d - 1 - dim, 0)  # directions that dim(H) has no room for, a singular value of 1 each
        assert (residual**2).sum() == pytest.approx(left, rel=1e-12, abs=1e-20)
        assert np.linalg.matrix_rank(a) == min(dim, d - 1)


@pytest.mark.parametrize(("d", "dim", "per_class", "alpha"), [(5, 2, 3, 2.0), (4, 1, 2, 0.5), (3, 1, 4, 1.0)])
def test_no_linear_f_does_better_than_the_closed_form(d: int, dim: int, per_class: int, alpha: float) -> None:
    classes, y = labels(d, per_class)
    least = least_linear_loss(d, dim, len(y), alpha)
    a, h, b = closed_form(d, dim, seed=0)
    assert float(mixup_loss(lambda x: x @ a + b, h.T[classes], y, alpha, 2)) == pytest.approx(least, rel=1e-12)
    random = np.random.default_rng(0)
    for size in (1e-3, 1e-1):
        for _ in range(20):
            p, q, r, points = (
                t + size * torch.from_numpy(random.normal(size=t.shape)) for t in (a, b, torch.zeros(d), h.T[classes])
            )
            assert float(mixup_loss(lambda x, p=p, q=q, r=r: x @ p + q + r, points, y, alpha, 2)) > least
    f = nn.Linear(dim, d).double()
    nn.init.normal_(f.weight, generator=torch.Generator().manual_seed(0))
    nn.init.zeros_(f.bias)
    points = trained(f, y, dim, alpha, nodes=2, steps=400, lr=0.1, seed=0)
    with torch.no_grad():
        assert least * (1 - 1e-12) < float(mixup_loss(f, points, y, alpha, 2)) < least * 1.001


def test_training_reaches_0_and_flattens_where_there_is_room() -> None:
    classes, y = labels(3, 4)
    f = nn.Linear(3, 3).double()
    nn.init.normal_(f.weight, generator=torch.Generator().manual_seed(0))
    nn.init.zeros_(f.bias)
    points = trained(f, y, 3, 2.0, nodes=2, steps=500, lr=0.1, seed=0)
    with torch.no_grad():
        assert float(mixup_loss(f, points, y, 2.0, 2)) < 1e-12
    of_class = points[classes == 0].numpy()
    assert np.linalg.matrix_rank(of_class - of_class.mean(axis=0), tol=1e-5) == 1


@pytest.mark.parametrize(("d", "dim"), [(3, 2), (3, 4), (5, 8)])
def test_points_move_freely_in_dim_minus_d_plus_1_directions(d: int, dim: int) -> None:
    a, h, b = closed_form(d, dim, seed=1)
    classes, y = labels(d, 8)
    moved = free_directions(a, h, classes, seed=0)
    assert np.allclose(moved.numpy() @ a.numpy() + b.numpy(), y.numpy(), atol=1e-12)
    for c in range(d):
        of_class = moved[classes == c].numpy()
        assert np.linalg.matrix_rank(of_class - of_class.mean(axis=0), tol=1e-8) == dim - d + 1


def test_rank_counts_what_exceeds_the_tolerance() -> None:
    assert numerical_rank(torch.tensor([5.0, 1e-3, 1e-7]).double(), 1e-6) == 2
    assert numerical_rank(torch.tensor([1e4, 1e-3]).double(), 1e-6) == 1  # against the largest
    assert numerical_rank(torch.tensor([1e-7, 1e-8]).double(), 1e-6) == 0


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    folder = tmp_path_factory.mktemp("theorem")
    return run(Place("cpu", True, folder, folder, "", 1, lambda line: None)), folder


def test_a_quick_run_measures_every_dimension(quick: tuple[Outcome, Path]) -> None:
    outcome, _ = quick
    json.dumps(outcome.values, allow_nan=False)  # finite, and nothing that JSON does not know
    for d, found in outcome.values["closed_form"].items():
        for dim, of in found.items():
            assert of["loss"] == pytest.approx(of["least_loss_of_linear_f"], rel=1e-9, abs=1e-20)
            assert of["ranks_of_classes"] == [max(int(dim) - int(d) + 1, 0)]
    for runs in outcome.values["trained_linear"].values():
        for one in runs:
            assert one["loss"] >= one["least_loss_of_linear_f"] * (1 - 1e-9)
    assert [f.verdict for f in outcome.findings[:2]] == ["agrees", "agrees"]
    assert all(f.n == 1 and f.ours for f in outcome.findings)


def one(loss: float, rank: int) -> list[dict[str, object]]:
    return [{"loss": loss, "least_loss_of_linear_f": 0.1, "rank_of_each_class": [rank]}]


@pytest.mark.parametrize(
    ("loss", "rank", "verdicts"),
    [
        (1e-20, 2, ("agrees", "agrees")),
        (1e-20, 1, ("agrees", "agrees")),
        (1e-20, 3, ("agrees", "disagrees")),
        (1e-6, 2, ("disagrees", "agrees")),
    ],
)
def test_verdicts_on_what_was_trained(loss: float, rank: int, verdicts: tuple[str, str]) -> None:
    of = {"loss": 1e-30, "loss_moved_along_free_directions": 1e-30}
    built = {3: {dim: {**of, "ranks_of_classes": [max(dim - 2, 0)]} for dim in range(1, 5)}}
    linear = {1: one(0.1, 0), 2: one(1e-20, 0), 3: one(1e-20, 1), 4: one(loss, rank)}
    findings = compare_theorem(3, built, linear, {1: one(0.05, 1)})
    assert (findings[3].verdict, findings[5].verdict) == verdicts
    assert [f.verdict for f in findings[:2]] == ["agrees", "agrees"]
    built[3][4] = {**of, "loss": 1e-5, "ranks_of_classes": [1]}
    assert [f.verdict for f in compare_theorem(3, built, linear, {1: one(0.05, 1)})[:2]] == ["disagrees", "disagrees"]


def test_a_quick_run_draws_a_small_figure(quick: tuple[Outcome, Path]) -> None:
    outcome, folder = quick
    assert outcome.figures == ["theorem.png"]
    data = (folder / "theorem.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) <= 150_000
    assert b"Software" not in data
