"""Minimisers of the Manifold Mixup loss, against sums by hand and optima found otherwise; the quick experiment."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from mmgan.errors import TrainingFailed
from mmgan.experiments import theorem
from mmgan.experiments.experiment import Place
from mmgan.experiments.minimisers import (
    closed_form,
    free_directions,
    least_linear_loss,
    mixup_loss,
    numerical_rank,
    trained,
)

CASES = [(d, dim) for d in (2, 3, 5, 10) for dim in (1, 2, d - 2, d - 1, d, d + 3) if dim >= 1]


def labels(d: int, each: int) -> tuple[torch.Tensor, torch.Tensor]:
    classes = torch.arange(d).repeat(each)
    return classes, torch.eye(d, dtype=torch.float64)[classes]


def test_loss_is_the_mean_over_pairs_and_a_fine_grid_of_lam() -> None:
    rng = np.random.default_rng(0)
    h, a, b = rng.normal(size=(6, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    y = np.eye(2)[[0, 1, 0, 1, 1, 0]]
    lam = (np.arange(20000) + 0.5) / 20000
    density = lam * (1 - lam) * 6  # Beta(2, 2)
    losses = []
    for i in range(6):
        for j in range(6):
            if i != j:
                mixed = np.outer(lam, h[i]) + np.outer(1 - lam, h[j])
                wanted = np.outer(lam, y[i]) + np.outer(1 - lam, y[j])
                losses.append(np.mean(density * ((np.tanh(mixed) @ a + b - wanted) ** 2).sum(1)))
    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    found = mixup_loss(lambda x: x.tanh() @ ta + tb, torch.from_numpy(h), torch.from_numpy(y), 2.0, 24)
    assert float(found) == pytest.approx(float(np.mean(losses)), rel=1e-6)


def test_two_nodes_are_exact_for_linear_f() -> None:
    _, y = labels(3, 4)
    h = torch.randn(12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for alpha in (0.5, 1.0, 2.0):
        two, many = (float(mixup_loss(lambda x: x @ torch.ones(2, 3).double(), h, y, alpha, q)) for q in (2, 30))
        assert two == pytest.approx(many, rel=1e-12)


@pytest.mark.parametrize(("d", "dim"), CASES)
def test_closed_form_has_the_least_loss_and_0_from_d_minus_1_on(d: int, dim: int) -> None:
    a, h, b = closed_form(d, dim, seed=3)
    classes, y = labels(d, 3)
    gap = (a.T @ h + b[:, None] - torch.eye(d)).abs().max()
    loss = float(mixup_loss(lambda x: x @ a + b, h.T[classes], y, 2.0, 2))
    assert loss == pytest.approx(least_linear_loss(d, dim, len(y), 2.0), abs=1e-14)
    assert (float(gap) < 1e-12) == (loss < 1e-14) == (dim >= d - 1)


def test_nobody_near_the_closed_form_is_better_below_the_threshold() -> None:
    generator = torch.Generator().manual_seed(0)
    a, h, b = closed_form(5, 2, seed=0)
    classes, y = labels(5, 2)
    points = h.T[classes]
    least = float(mixup_loss(lambda x: x @ a + b, points, y, 2.0, 2))
    for size in (1e-3, 1e-1, 1.0):
        for _ in range(20):
            a2, p2, b2 = (v + size * torch.randn(v.shape, generator=generator).double() for v in (a, points, b))
            assert float(mixup_loss(lambda x, a=a2, b=b2: x @ a + b, p2, y, 2.0, 2)) >= least - 1e-12


@pytest.mark.parametrize(("d", "dim"), [(2, 1), (5, 4), (5, 5), (5, 7), (10, 12)])
def test_free_directions_cost_nothing_and_are_dim_minus_d_plus_1(d: int, dim: int) -> None:
    a, h, _ = closed_form(d, dim, seed=1)
    classes, _ = labels(d, 12)
    moved = free_directions(a, h, classes, seed=1)
    torch.testing.assert_close(moved @ a, h.T[classes] @ a, rtol=0, atol=1e-12)
    for c in range(d):
        rows = moved[classes == c].numpy()
        assert np.linalg.matrix_rank(rows - rows.mean(0), tol=1e-9) == dim - d + 1
    if dim >= d:
        assert float((moved - h.T[classes]).norm(dim=1).mean()) > 0.3


def test_rank_counts_what_is_not_rounding() -> None:
    assert numerical_rank(torch.tensor([5.0, 1e-3, 1e-12]).double()) == 2
    assert numerical_rank(torch.tensor([1e-13, 1e-15]).double()) == 0  # not relative to what is itself rounding


@pytest.mark.parametrize("dim", [2, 4])
def test_training_finds_the_least_loss(dim: int) -> None:
    _, y = labels(3, 3)
    f = torch.nn.Linear(dim, 3).double()
    with torch.no_grad():
        f.weight.copy_(torch.eye(3, dim) + 0.3)
    points = trained(f, y, dim, 2.0, nodes=2, steps=400, lr=0.1, seed=0)
    assert float(mixup_loss(f, points, y, 2.0, 2).detach()) < 1e-10
    within = [float((points[c::3] - points[c::3].mean(0)).norm()) for c in range(3)]
    assert max(within) < 1e-3 if dim == 2 else min(within) > 1e-2  # dim(H) = d - 1: each class is a point


def test_training_that_fails_says_so() -> None:
    _, y = labels(3, 2)
    with pytest.raises(TrainingFailed, match="learning rate"):
        trained(torch.nn.Linear(2, 3).double(), y, 2, 2.0, nodes=2, steps=3, lr=math.inf, seed=0)


def test_a_quick_theorem(tmp_path: Path) -> None:
    outcome = theorem.run(Place("cpu", True, tmp_path, tmp_path, "unused", 1, lambda line: None))
    json.dumps(outcome.values, allow_nan=False)
    closed = [finding for finding in outcome.findings if finding.what.startswith(("loss of the closed", "closed"))]
    assert [finding.verdict for finding in closed] == ["agrees", "agrees"]  # nothing is trained there
    built = outcome.values["closed_form"]["10"]
    assert all((of["loss"] < 1e-12) == (int(dim) >= 9) for dim, of in built.items())
    assert outcome.figures == ["theorem.png"]
    assert (tmp_path / "theorem.png").stat().st_size <= 150_000
