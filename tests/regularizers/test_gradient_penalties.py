"""R1, R2 and the penalty of WGAN-GP against analytic gradients and finite differences, in float64."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mmgan.regularizers import R1, R2, GradientPenalty, Regularizers, Step, r1, r2

B, SHAPE = 5, (3, 4, 4)
SIZE = 48


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Quadratic(nn.Module):
    """D(x) = x^T A x / 2 + b^T x, whose gradient is (A + A^T) x / 2 + b."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(draw(SIZE, SIZE, seed=1) / 7), nn.Parameter(draw(SIZE, seed=2))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        return (flat @ self.a * flat).sum(1) / 2 + flat @ self.b

    def gradient(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ (self.a + self.a.T) / 2 + self.b  # (n, size)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 3, padding=1), nn.Softplus(), nn.Conv2d(6, 4, 3, stride=2), nn.Tanh(), nn.Flatten()]
    return nn.Sequential(*layers, nn.LazyLinear(1)).double()


def by_differences(function: Any, x: Tensor, h: float = 1e-5) -> Tensor:
    """Central differences of a function of one row (c, h, w): (c * h * w,)."""
    found = torch.empty(x.numel(), dtype=x.dtype)
    for i in range(x.numel()):
        shift = torch.zeros_like(x).view(-1)
        shift[i] = h
        shift = shift.view_as(x)
        found[i] = (function(x + shift) - function(x - shift)) / (2 * h)
    return found


def a_step(discriminator: Any, real: Tensor, fake: Tensor, number: int = 0, **more: Any) -> Step:
    logits = discriminator(torch.cat([real, fake]))
    return Step(real, fake, logits[: len(real)], logits[len(real) :], discriminator, number, **more)


def test_r1_of_a_quadratic_is_its_formula_and_so_is_the_gradient_of_its_parameters() -> None:
    d, x = Quadratic(), draw(B, *SHAPE).requires_grad_()
    got = r1(d(x), x)
    wanted = d.gradient(x.detach()).square().sum(1).mean() / 2
    torch.testing.assert_close(got, wanted)
    ours = torch.autograd.grad(got, [d.a, d.b])
    theirs = torch.autograd.grad(wanted, [d.a, d.b])
    torch.testing.assert_close(ours, theirs)
    assert torch.equal(r2(d(x), x), got)


def test_r1_of_a_network_is_that_of_finite_differences() -> None:
    d, x = network(), draw(3, *SHAPE)
    with torch.no_grad():
        gradients = torch.stack([by_differences(lambda row: d(row[None]).sum(), row) for row in x])  # (3, size)
    wanted = gradients.square().sum(1).mean() / 2
    x.requires_grad_()
    torch.testing.assert_close(r1(d(x), x), wanted, rtol=1e-6, atol=1e-9)  # d(x): (3, 1)


def test_modules_take_the_rows_of_one_joint_forward() -> None:
    d, real, fake = Quadratic(), draw(B, *SHAPE), draw(B, *SHAPE, seed=3)
    both = Regularizers([R1(10.0), R2(4.0)])
    real, fake = both.differentiable(0, real, fake)
    total, values = both(a_step(d, real, fake))
    at_real, at_fake = (d.gradient(x.detach()).square().sum(1).mean() / 2 for x in (real, fake))
    torch.testing.assert_close(values, {"r1": at_real.detach(), "r2": at_fake.detach()})
    torch.testing.assert_close(total, 10 * at_real + 4 * at_fake)
    assert not values["r1"].requires_grad
    torch.testing.assert_close(R1(10.0)(a_step(d, real, fake)), 10 * at_real)


def test_lazy_terms_weigh_more_and_cost_nothing_between() -> None:
    d, real, fake = Quadratic(), draw(B, *SHAPE), draw(B, *SHAPE, seed=3)
    lazy = Regularizers([R1(10.0, every=4)])
    for number in range(9):
        x, y = lazy.differentiable(number, real, fake)
        due = number in (0, 4, 8)
        assert x.requires_grad == due == lazy.second_order(number)
        assert y is fake
        total, values = lazy(a_step(d, x, y, number))
        wanted = d.gradient(real).square().sum(1).mean() / 2
        torch.testing.assert_close(total, 40 * wanted if due else torch.zeros(()))
        assert list(values) == (["r1"] if due else [])
        alone = R1(10.0, every=4)(a_step(d, x, y, number))
        torch.testing.assert_close(alone, total)
    assert not real.requires_grad


def test_maps_and_heads_count_as_in_the_losses() -> None:
    d, x = Quadratic(), draw(B, *SHAPE).requires_grad_()

    def nest(x: Tensor) -> dict[str, Any]:
        whole = d(x)
        return {"map": x[:, :1] ** 2, "heads": [whole, (3 * whole)[:, None]]}

    slope = 2 * x.detach()[:, 0].flatten(1) / 16  # the mean over a map of 4x4
    wanted = 4 * d.gradient(x.detach())
    wanted = torch.cat([wanted[:, :16] + slope, wanted[:, 16:]], 1).square().sum(1).mean() / 2
    torch.testing.assert_close(r1(nest(x), x), wanted)


def interpolates(step: Step) -> tuple[Tensor, Tensor]:
    """Real and fake interpolated by the step's own draw, by hand."""
    generator = torch.Generator().manual_seed(step.stream("interpolates").initial_seed())
    eps = torch.rand(len(step.real), generator=generator, dtype=torch.float64)
    rows = [e * x + (1 - e) * y for e, x, y in zip(eps, step.real, step.fake, strict=True)]
    return torch.stack(rows), eps


def test_gradient_penalty_at_interpolates() -> None:
    d = Quadratic()
    step = a_step(d, draw(B, *SHAPE), draw(B, *SHAPE, seed=3), number=7, seed=2, rank=1)
    x, eps = interpolates(step)
    assert len(eps.unique()) == B
    wanted = (d.gradient(x).norm(dim=1) - 1).square().mean()
    got = GradientPenalty(10.0).value(step)
    torch.testing.assert_close(got, wanted)
    torch.testing.assert_close(torch.autograd.grad(got, [d.a, d.b]), torch.autograd.grad(wanted, [d.a, d.b]))
    assert torch.equal(GradientPenalty(10.0, every=7)(step), 70 * GradientPenalty(10.0).value(step))
    for other in ({"number": 8}, {"seed": 3}, {"rank": 0}):
        names = {"number": 7, "seed": 2, "rank": 1} | other
        assert not torch.equal(GradientPenalty(10.0).value(a_step(d, step.real, step.fake, **names)), got)


def test_gradient_penalty_pairs_rows_of_one_class() -> None:
    d = Quadratic()
    seen: list[tuple[Tensor, Tensor]] = []

    def conditional(x: Tensor, y: Tensor) -> Tensor:
        seen.append((x, y))
        return d(x) * (1 + y)

    # Every image is its class, so an interpolate of two rows of one class is that class again.
    real_classes, fake_classes = torch.tensor([2, 0, 1, 0, 3]), torch.tensor([0, 2, 0, 1, 4])
    real, fake = (classes.double().view(B, 1, 1, 1).expand(B, *SHAPE) for classes in (real_classes, fake_classes))
    step = Step(real, fake, None, None, conditional, 0, real_classes=real_classes, fake_classes=fake_classes)
    got = GradientPenalty(1.0).value(step)
    ((x, y),) = seen
    assert sorted(y.tolist()) == [0, 0, 1, 2, 3]
    matched = y < 3
    torch.testing.assert_close(x[matched], y[matched].double().view(-1, 1, 1, 1).expand(-1, *SHAPE))
    slopes = (d.gradient(x.detach()) * (1 + y)[:, None]).norm(dim=1)
    torch.testing.assert_close(got, (slopes[matched] - 1).square().mean())  # row 3 has no partner


def test_a_flat_discriminator_has_finite_gradients() -> None:
    d = Quadratic()
    nn.init.zeros_(d.a)
    nn.init.zeros_(d.b)
    penalty = GradientPenalty(10.0).value(a_step(d, draw(B, *SHAPE), draw(B, *SHAPE, seed=3)))
    assert penalty == 1
    assert all(g.isfinite().all() for g in torch.autograd.grad(penalty, [d.a, d.b]))


def test_penalties_under_autocast_are_float32_and_close() -> None:
    d = network().float()
    real, fake = draw(B, *SHAPE).float(), draw(B, *SHAPE, seed=3).float()
    types: list[torch.dtype] = []
    d[-1].register_forward_hook(lambda module, args, output: types.append(output.dtype))

    def penalties(bf16: bool) -> Tensor:
        terms = Regularizers([R1(1.0), R2(1.0), GradientPenalty(1.0)])
        x, y = terms.differentiable(0, real, fake)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            total, values = terms(a_step(d, x, y))  # inside autocast as a loop may have it
        assert total.dtype == torch.float32
        d.zero_grad()
        total.backward()
        assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in d.parameters() if p.dim() > 1)
        return torch.stack(list(values.values()))

    exact, rounded = penalties(False), penalties(True)
    assert types == [torch.float32, torch.float32, torch.bfloat16, torch.float32]  # the interpolates' forward is ours
    torch.testing.assert_close(rounded, exact, rtol=0.02, atol=0)
    assert torch.equal(rounded[2], exact[2])
    assert not torch.equal(rounded[0], exact[0])


def test_squares_are_not_rounded_to_bf16() -> None:
    """(1 + 2^-7)^2 needs 15 bits, of which bf16 has 8."""
    x = torch.zeros(2, *SHAPE, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        logits = (x * 1.0078125).flatten(1).sum(1)  # slope 1 + 2^-7, exact in bf16
        got = r1(logits, x)
    assert got.dtype == torch.float32
    assert got.item() == 24 * 1.0078125**2


def test_what_cannot_be_differentiated_is_refused() -> None:
    d, x, fake = Quadratic(), draw(B, *SHAPE), draw(B, *SHAPE, seed=3)
    with pytest.raises(ValueError, match="requires_grad_"):
        r1(d(x), x)
    with pytest.raises(ValueError, match="do not depend on the inputs"):
        r1(d(x), x.clone().requires_grad_())
    with torch.no_grad():
        logits = d(x)
    with pytest.raises(ValueError, match="no graph"):
        r1(logits, x.clone().requires_grad_())
    with pytest.raises(ValueError, match=r"r2 needs fake images .* Regularizers.differentiable"):
        R2(1.0)(a_step(d, x.clone().requires_grad_(), fake))
    with pytest.raises(ValueError, match="same shape"):
        GradientPenalty(1.0)(a_step(d, x, fake[:3]))
    y = x.clone().requires_grad_()
    with pytest.raises(ValueError, match="logits of 5 rows"):
        r1(d(y)[:3], y)
