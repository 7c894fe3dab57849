"""lam may have a gradient: it is the finite difference's, wherever and however rows are mixed."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mmgan import Mixed, MixPlan, PermutationPolicy, RealFakePolicy
from mmgan.errors import UserError
from mmgan.mixing.verdict import MODES, Mode

LEFT, RIGHT = torch.tensor([0, 3, 1]), torch.tensor([2, 2, 4])


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), nn.Tanh(), nn.Conv1d(3, 2, 1), nn.Flatten(), nn.Linear(10, 1))


def plan_of(layer: str, lam: Tensor, **more: Any) -> MixPlan:
    return MixPlan(layer, LEFT, RIGHT, lam, parts=(5,), **more)


@pytest.mark.parametrize("rule", ["linear", "statistics"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layer", ["pixel", "1"])
def test_gradients_by_lam_input_and_weights(layer: str, mode: Mode, rule: Any) -> None:
    net, x = Mixed(network().double(), layer), torch.randn(5, 2, 5, dtype=torch.float64, requires_grad=True)
    lam = torch.tensor([0.3, 0.8, 0.55], dtype=torch.float64, requires_grad=True)

    def run(lam: Tensor, x: Tensor, _: Tensor) -> Tensor:
        return net(x, plan=plan_of(layer, lam, rule=rule), mode=mode)

    assert torch.autograd.gradcheck(run, (lam, x, net.model[4].weight))
    assert torch.autograd.gradgradcheck(lambda lam: run(lam, x.detach(), x).tanh(), lam)
    assert torch.autograd.grad(run(lam, x, x).sum(), lam)[0].all()


@pytest.mark.parametrize("passes", ["joint", "separate"])
def test_detached_rows_leave_the_gradient_of_lam(passes: Any) -> None:
    net = Mixed(network().double(), "1", detach=True, passes=passes)
    x = torch.randn(5, 2, 5, dtype=torch.float64, requires_grad=True)
    lam = torch.tensor([0.3, 0.8, 0.55], dtype=torch.float64, requires_grad=True)
    mixed = lambda lam: net(x, plan=plan_of("1", lam), mode="append")[5:]  # noqa: E731
    assert torch.autograd.gradcheck(mixed, lam)
    assert not torch.autograd.grad(mixed(lam).sum(), x, materialize_grads=True, allow_unused=True)[0].any()


def test_labels_take_the_gradient_too() -> None:
    lam = torch.tensor([0.3, 0.8, 0.55], dtype=torch.float64, requires_grad=True)
    labels, like = torch.rand(5, dtype=torch.float64), torch.empty(3, 1)
    for function in (
        lambda lam: plan_of("1", lam).mix_labels(labels),
        lambda lam: plan_of("1", lam).mix_labels(labels, like),
        lambda lam: plan_of("1", lam).replace(labels),
    ):
        assert torch.autograd.gradcheck(function, lam)


def test_lam_in_float32_beside_reduced_precision() -> None:
    lam = torch.tensor([0.3, 0.8, 0.55], requires_grad=True)
    x = torch.randn(5, 2, 5).bfloat16()
    (got,) = torch.autograd.grad(plan_of("1", lam).mix(x).float().sum(), lam)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, (x[LEFT].float() - x[RIGHT].float()).sum((1, 2)), rtol=0.02, atol=0.02)


UNIFORM: dict[str, Any] = {"alpha": 1.0, "lam": "uniform", "per": "example"}


@pytest.mark.parametrize("layer", ["pixel", "1", "2"])
@pytest.mark.parametrize("mode", MODES)
def test_a_lam_that_a_network_chooses(layer: str, mode: Mode) -> None:
    """lam = low + length * u, u ~ U(0, 1): gradients by the interval at the input and at hidden layers."""
    net, x = Mixed(network().double(), layer), torch.randn(6, 2, 5, dtype=torch.float64)
    policies = {2: RealFakePolicy(layer, **UNIFORM), 1: PermutationPolicy(layer, **UNIFORM)}
    plan = policies[1].draw(6, 3, 1) if mode == "replace" else policies[2].draw(3, 3, 1)
    choose = nn.Linear(10, 3).double()

    def run(weight: Tensor, bias: Tensor) -> Tensor:
        low, length, _ = (x[plan.left].flatten(1) @ weight.T + bias).softmax(1).unbind(1)
        return net(x, plan=plan.with_interval(low, length), mode=mode)

    assert torch.autograd.gradcheck(run, (choose.weight, choose.bias))
    assert all(g.any() for g in torch.autograd.grad(run(choose.weight, choose.bias).sum(), [*choose.parameters()]))


def test_the_interval_moves_the_draw_and_nothing_else() -> None:
    policy = PermutationPolicy("1", **UNIFORM)
    plan = policy.draw(400, 7, 3, 1)
    low, length = torch.tensor(0.2).expand(400), torch.tensor(0.5).expand(400)
    moved, again = plan.with_interval(low, length), policy.draw(400, 7, 3, 1).with_interval(low, length)
    torch.testing.assert_close(moved.lam, 0.2 + 0.5 * plan.lam)
    assert torch.equal(moved.lam, again.lam)
    assert 0.2 <= moved.lam.min() < 0.22 < 0.68 < moved.lam.max() <= 0.7
    for name in ("left", "right", "used"):
        assert torch.equal(getattr(moved, name), getattr(plan, name))
    assert torch.equal(plan.with_interval(torch.zeros(400), torch.ones(400)).lam, plan.lam)


def test_boxes_have_no_interval() -> None:
    plan = PermutationPolicy("pixel", rule="cutmix", **UNIFORM).draw(4)
    with pytest.raises(UserError, match="choose rule 'linear'"):
        plan.with_interval(torch.zeros(4), torch.ones(4))
