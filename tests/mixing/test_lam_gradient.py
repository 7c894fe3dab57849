"""lam may have a gradient: it is the finite difference's, wherever and however rows are mixed."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mmgan import Mixed, MixPlan
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
