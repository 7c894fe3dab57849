"""GAN losses against torch's own and against the papers' formulas."""

import inspect
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmgan import RealFakePolicy, real_fake_labels
from mmgan.errors import UserError
from mmgan.losses import GAN_LOSSES, GANLossName, discriminator_losses

NAMES = list(GAN_LOSSES)
D = torch.linspace(-6, 6, 49, dtype=torch.float64)


def log_sigmoid(d: float) -> float:
    return -math.log1p(math.exp(-d))


# real, fake, generator, as the papers write what is minimised
FORMULAS: dict[GANLossName, tuple[Callable[[float], float], ...]] = {
    "jsgan": (lambda d: -log_sigmoid(d), lambda d: -log_sigmoid(-d), lambda d: -log_sigmoid(d)),
    "jsgan-saturating": (lambda d: -log_sigmoid(d), lambda d: -log_sigmoid(-d), lambda d: log_sigmoid(-d)),
    "hinge": (lambda d: -min(0.0, -1 + d), lambda d: -min(0.0, -1 - d), lambda d: -d),
    "least-squares": (lambda d: 0.5 * (d - 1) ** 2, lambda d: 0.5 * d**2, lambda d: 0.5 * (d - 1) ** 2),
    "wasserstein": (lambda d: -d, lambda d: d, lambda d: -d),
}


@pytest.mark.parametrize("name", NAMES)
def test_formulas(name: GANLossName) -> None:
    loss = GAN_LOSSES[name]
    for ours, formula in zip((loss.real, loss.fake, loss.generator), FORMULAS[name], strict=True):
        wanted = torch.tensor([formula(d) for d in D.tolist()], dtype=torch.float64)
        torch.testing.assert_close(ours(D), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.slow(1)
@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.floats(-30, 30), st.floats(0, 1)), min_size=1, max_size=8))
def test_soft_jsgan_is_binary_cross_entropy(rows: list[tuple[float, float]]) -> None:
    logits = torch.tensor([d for d, _ in rows], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([y for _, y in rows], dtype=torch.float64)
    got = GAN_LOSSES["jsgan"].soft(logits, target)
    wanted = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    torch.testing.assert_close(got, wanted)
    (a,), (b,) = torch.autograd.grad(got.sum(), logits), torch.autograd.grad(wanted.sum(), logits)
    torch.testing.assert_close(a, b)
    torch.testing.assert_close(a, torch.sigmoid(logits.detach()) - target)


@pytest.mark.parametrize("name", NAMES)
def test_soft_is_real_at_one_and_fake_at_zero_and_linear_between(name: GANLossName) -> None:
    loss = GAN_LOSSES[name]
    assert torch.equal(loss.soft(D, torch.ones_like(D)), loss.real(D))
    assert torch.equal(loss.soft(D, torch.zeros_like(D)), loss.fake(D))
    third = loss.soft(D, torch.full_like(D, 1 / 3))
    torch.testing.assert_close(third, loss.real(D) / 3 + 2 * loss.fake(D) / 3)


@pytest.mark.parametrize("name", NAMES)
def test_signs(name: GANLossName) -> None:
    """D's cost falls as real logits rise and as fake ones fall; G's falls as fake logits rise (up to the target)."""
    loss, d = GAN_LOSSES[name], torch.linspace(-0.9, 0.9, 19, dtype=torch.float64, requires_grad=True)

    def slope(f: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.autograd.grad(f(d).sum(), d)[0]

    assert (slope(loss.real) < 0).all()
    assert (slope(loss.generator) < 0).all()
    if name == "least-squares":  # its target for fakes is the logit 0
        assert (slope(loss.fake) * d.detach() >= 0).all()
    else:
        assert (slope(loss.fake) > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_extreme_logits_stay_finite(name: GANLossName) -> None:
    d = torch.tensor([-1e4, 1e4], requires_grad=True)
    loss = GAN_LOSSES[name]
    total = (loss.soft(d, torch.tensor([0.7, 0.2])) + loss.generator(d)).sum()
    total.backward()
    assert total.isfinite()
    assert d.grad is not None
    assert d.grad.isfinite().all()


def test_saturating_or_not_is_a_matter_of_where_the_gradient_of_g_lives() -> None:
    """Where D is sure of its fakes (very negative logits), only the non-saturating cost still moves G."""
    d = torch.tensor([-20.0], requires_grad=True)
    slopes = {n: torch.autograd.grad(GAN_LOSSES[n].generator(d), d)[0].item() for n in ("jsgan", "jsgan-saturating")}
    assert slopes["jsgan"] == pytest.approx(-1, abs=1e-6)
    assert slopes["jsgan-saturating"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("weight", [1.0, 0.3])
@pytest.mark.parametrize("name", NAMES)
def test_discriminator_losses_with_mixed_rows(name: GANLossName, weight: float) -> None:
    """Row by row, pair by pair, from the formulas and the four-case labels."""
    torch.manual_seed(0)
    b = 4
    logits = torch.randn(3 * b, dtype=torch.float64)
    plan = RealFakePolicy("1", alpha=1.0).draw(b, step=2)
    real, fake, _ = FORMULAS[name]
    d = logits.tolist()
    mixed = 0.0
    for m, (i, j, lam) in enumerate(zip(plan.left.tolist(), plan.right.tolist(), plan.lam.tolist(), strict=True)):
        y = {(True, False): lam, (False, True): 1 - lam, (False, False): 0.0}[i < b, j < b]
        mixed += (y * real(d[2 * b + m]) + (1 - y) * fake(d[2 * b + m])) / b
    wanted_real, wanted_fake = sum(map(real, d[:b])) / b, sum(map(fake, d[b : 2 * b])) / b
    got = discriminator_losses(GAN_LOSSES[name], *plan.split(logits), plan, mix_weight=weight)
    assert got.real.item() == pytest.approx(wanted_real)
    assert got.fake.item() == pytest.approx(wanted_fake)
    assert got.mixed.item() == pytest.approx(mixed, rel=1e-6)
    assert got.total.item() == pytest.approx(wanted_real + wanted_fake + weight * mixed, rel=1e-6)


def test_discriminator_losses_without_mixed_rows() -> None:
    logits = torch.randn(6, dtype=torch.float64, requires_grad=True)
    plan = RealFakePolicy("none").draw(3)
    got = discriminator_losses(GAN_LOSSES["jsgan"], *plan.split(logits), plan)
    wanted = F.binary_cross_entropy_with_logits(logits, real_fake_labels(3).double()) * 2
    torch.testing.assert_close(got.total, wanted)
    assert got.mixed.item() == 0
    got.total.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_shapes_that_would_broadcast_are_refused_without_any_type_checker() -> None:
    soft = inspect.unwrap(type(GAN_LOSSES["jsgan"]).soft)
    with pytest.raises(ValueError, match=r"logits \(3, 1\) need a target of the same shape, not \(3,\)"):
        soft(GAN_LOSSES["jsgan"], torch.zeros(3, 1), torch.zeros(3))
    plan = RealFakePolicy("1").draw(2)
    for shape in [(0,), (2,), (4,), (7,), (1, 6), ()]:
        with pytest.raises(UserError, match=r"does not have the 6 rows of an appended forward"):
            plan.split(torch.zeros(shape))
