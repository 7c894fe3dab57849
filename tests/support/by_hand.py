"""Mixing written out: run the layers before k, interpolate row by row, run the layers after k.

Nothing here uses Mixed, MixPlan.mix or torch.lerp, so that the core is held against the formula itself.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

from mmgan import Mixed, MixPlan
from mmgan.mixing.verdict import Mode

Step = Callable[[nn.Module, Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """A network, an input for it, and its forward as named steps: mixing at a name comes after its step."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    steps: tuple[tuple[str, Step], ...]

    @property
    def layers(self) -> tuple[str, ...]:
        return ("pixel", *(name for name, _ in self.steps if not name.startswith("(")))


def child(name: str) -> tuple[str, Step]:
    return name, lambda model, h: model.get_submodule(name)(h)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 6), nn.ReLU(inplace=True), nn.Linear(6, 3))


def transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=12, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, num_layers=3, enable_nested_tensor=False)


class ThinResNet18(ResNet):
    """torchvision's ResNet-18 with stages an eighth as wide."""

    def __init__(self) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2])
        self.fc = nn.Linear(512 // 8, 3)

    def _make_layer(self, block: Any, planes: int, *args: Any, **kwargs: Any) -> nn.Sequential:
        return super()._make_layer(block, planes // 8, *args, **kwargs)


CASES = {
    "mlp": Case(mlp, (5,), tuple(child(str(i)) for i in range(5))),
    "transformer": Case(transformer, (4, 8), tuple(child(f"layers.{i}") for i in range(3))),
    "resnet18": Case(
        ThinResNet18,
        (3, 16, 16),
        (
            *(child(name) for name in ("conv1", "bn1", "relu", "maxpool", "layer1")),
            child("layer2.0"),  # inside a stage
            *(child(name) for name in ("layer2.1", "layer3", "layer4", "avgpool")),
            ("(flatten)", lambda model, h: h.flatten(1)),
            child("fc"),
        ),
    ),
}


def mixed_rows(h: Tensor, plan: MixPlan) -> Tensor:
    """(N, ...) -> (M, ...)"""
    lam = plan.lam.to(h.dtype)
    return torch.stack([lam[i] * h[plan.left[i]] + (1 - lam[i]) * h[plan.right[i]] for i in range(len(lam))])


def replaced(h: Tensor, plan: MixPlan) -> Tensor:
    rows = list(h.unbind())
    for row, value in zip(plan.left.tolist(), mixed_rows(h, plan), strict=True):
        rows[row] = value
    return torch.stack(rows)  # (N, ...)


def appended(h: Tensor, plan: MixPlan) -> Tensor:
    return torch.cat([h, mixed_rows(h, plan)])  # (N + M, ...)


def forward(case: Case, model: nn.Module, x: Tensor, plans: Sequence[MixPlan], mode: Mode = "replace") -> Tensor:
    actions = {plan.layer: plan for plan in plans}
    mix = appended if mode == "append" else replaced
    h = mix(x, actions["pixel"]) if "pixel" in actions else x
    for name, step in case.steps:
        h = step(model, h.clone())  # a step may work in place
        h = mix(h, actions[name]) if name in actions else h
    return h


def gradients(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """The gradients of a fixed, uneven function of y, for the input and for every parameter (0 where it has none)."""
    weights = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)
    inputs = {"x": x, **dict(model.named_parameters())}
    found = torch.autograd.grad((weights * y + y.square()).sum(), list(inputs.values()), allow_unused=True)
    return {k: torch.zeros_like(v) if g is None else g for (k, v), g in zip(inputs.items(), found, strict=True)}


def assert_equal_to_hand(case: Case, plans: Sequence[MixPlan], mode: Mode, n: int, train: bool) -> None:
    """Values, all gradients and buffers of Mixed and of `forward` above agree in float64."""
    torch.manual_seed(n)
    model = case.build().double().train(train)
    twin = copy.deepcopy(model)
    x = torch.randn(n, *case.shape, dtype=torch.float64, requires_grad=True)
    net = Mixed(model, [plan.layer for plan in plans], check=False)  # the look is not the subject
    got, wanted = net(x, plan=tuple(plans), mode=mode), forward(case, twin, x, plans, mode)
    torch.testing.assert_close(got, wanted, rtol=1e-11, atol=1e-12)
    found, expected = gradients(net.model, x, got), gradients(twin, x, wanted)
    assert any(g.abs().max() > 0 for g in expected.values())
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(dict(net.model.named_buffers()), dict(twin.named_buffers()))
