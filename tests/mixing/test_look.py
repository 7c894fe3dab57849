"""The look before the first mix: what it costs, when it is taken, and that it leaves everything as it was."""

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from mmgan import Mixed, RealFakePolicy

LAYERS = ["pixel", "body", "neck"]


class Rich(nn.Module):
    """State of every kind: parameters, some frozen, buffers, spectral norms of both kinds, attributes, dropout."""

    table: Tensor

    def __init__(self, norm: bool = False) -> None:
        super().__init__()
        self.body = torch.nn.utils.spectral_norm(nn.Linear(5, 6))
        self.neck = parametrizations.spectral_norm(nn.Linear(6, 6))
        self.norm = nn.BatchNorm1d(6) if norm else nn.LayerNorm(6)
        self.drop, self.out = nn.Dropout(0.3), nn.Linear(6, 1)
        self.gate = nn.Parameter(torch.zeros(1))
        self.register_buffer("table", torch.randn(6))
        self.register_buffer("passing", torch.zeros(()), persistent=False)
        self.calls, self.history, self.by_name = 0, [0.0], {"last": 0.0}
        self.tally, self.last = torch.zeros(3), None
        self.out.bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.history.append(1.0)
        self.by_name["last"] = float(len(self.history))
        self.passing += 1  # type: ignore[has-type]
        self.tally += 1
        h = self.norm(self.neck(self.body(x).relu())) * self.table * (1 + self.gate)
        self.last = h
        return self.out(self.drop(h))


class Forwards:
    """Counts the forwards of a network."""

    def __init__(self, model: nn.Module) -> None:
        self.count = 0
        model.register_forward_hook(self)

    def __call__(self, *_: Any) -> None:
        self.count += 1

    def of(self, task: Any) -> int:
        before = self.count
        task()
        return self.count - before


def state_of(model: nn.Module) -> dict[str, Any]:
    """Everything that a network holds, module by module, copied."""
    found: dict[str, Any] = {}
    for name, module in model.named_modules():
        for key, value in {**module.__dict__, **module._parameters, **module._buffers}.items():
            if key not in ("_parameters", "_buffers", "_modules"):
                found[f"{name}.{key}"] = value.detach().clone() if isinstance(value, Tensor) else copy.copy(value)
    return found


def assert_same_state(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert before.keys() == after.keys()
    for name, value in before.items():
        same = torch.equal(value, after[name]) if isinstance(value, Tensor) else value == after[name]
        assert same, name


def made(train: bool = True, norm: bool = False) -> tuple[Rich, Tensor]:
    torch.manual_seed(0)
    model = Rich(norm).train(train)
    model.drop.eval()  # a flag that train() would not set
    x = torch.randn(6, 5)
    model(x).sum().backward()
    return model, x


@pytest.mark.parametrize("how", ["check", "inspect"])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("norm", [True, False])
def test_everything_is_as_it_was(train: bool, norm: bool, how: str) -> None:
    model, x = made(train, norm)
    net, kept = Mixed(model, LAYERS), x.clone()
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}

    def facts() -> list[Any]:
        kinds = [{name: (id(t), t.data_ptr(), t._version, t.requires_grad) for name, t in tensors.items()}]
        generators = [torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()]  # noqa: NPY002
        settings = [
            torch.is_grad_enabled(),
            torch.is_autocast_cache_enabled(),
            torch.backends.mha.get_fastpath_enabled(),
        ]
        return kinds + generators + settings

    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    before, known = state_of(model), facts()
    assert known == facts()
    if how == "check":
        net.check(x)
    else:
        net.inspect(x)
    assert known == facts()
    assert_same_state(before, state_of(model))
    after = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert grads.keys() == after.keys()
    assert all(torch.equal(grads[name], after[name]) for name in grads)
    assert torch.equal(x, kept)
    assert not x.requires_grad


@pytest.mark.parametrize("mode", ["replace", "append", "alone"])
def test_the_first_call_is_as_if_nobody_had_looked(mode: Any) -> None:
    """Values, gradients and what the forward leaves in the network, random numbers included."""
    outcomes = []
    for check in (True, False):
        model, x = made()
        model.drop.train()
        net, plan = Mixed(model, LAYERS, check=check), RealFakePolicy("body").draw(3)
        model.zero_grad()
        y = net(x, plan=plan, mode=mode)
        y.square().sum().backward()
        grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        outcomes.append((y, grads, model.state_dict(), model.calls, model.tally, torch.rand(1)))
    torch.testing.assert_close(*outcomes, rtol=0, atol=0)


@pytest.mark.parametrize("norm", [True, False])
def test_a_step_in_progress_is_not_disturbed(norm: bool) -> None:
    """A look between the discriminator's forward and its backward: the same gradients to the bit."""
    outcomes = []
    for looks in (False, True):
        model, x = made(norm=norm)
        model.drop.train()
        net = Mixed(model, LAYERS)
        model.zero_grad()
        x.requires_grad_()
        y = net(x)
        (penalty,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        if looks:
            net.check(x)
        (y.square().sum() + penalty.square().sum()).backward()
        outcomes.append(({name: p.grad for name, p in model.named_parameters()}, x.grad, net(x), torch.rand(2)))
    torch.testing.assert_close(*outcomes, rtol=0, atol=0)


def test_a_look_is_taken_once_for_each_structure_and_mode() -> None:
    model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 1), nn.Dropout(0.0))
    net, forwards, policy = Mixed(model, "pixel,0,1"), Forwards(model), RealFakePolicy("pixel,0,1")

    def call(b: int, mode: Any = "append", step: int = 0, dtype: torch.dtype = torch.float32) -> int:
        x = torch.randn(2 * b, 5, dtype=dtype)
        return forwards.of(lambda: net(x, plan=policy.draw(b, step), mode=mode))

    first = call(4)
    assert first > 1
    for step in range(6):
        assert call(4, step=step) == 1, "another layer"
    assert call(4, "replace") == call(4, "alone") == 1, "another mode"
    assert call(7) == 1, "another number of rows"
    net.eval()
    assert call(4) == first, "evaluation mode is another network"
    assert call(4) == 1
    net.train()
    assert call(4) == 1, "both are remembered"
    model[3].eval()
    assert call(4) > 1, "one module's flag"
    assert call(4) == 1
    assert forwards.of(lambda: net(torch.randn(8, 5))) == 1, "a plain call needs no look"
    assert forwards.of(lambda: net.check(torch.randn(8, 5))) == 0, "nor does a known structure"


class Gained(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.out = nn.Linear(5, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor, gain: Any = None) -> Tensor:
        h = self.out(self.body(x).tanh())
        return h if gain is None else h * (gain["of"] if isinstance(gain, dict) else gain)


def test_other_arguments_are_another_structure() -> None:
    model, x, gain = Gained(), torch.randn(6, 5), torch.rand(6, 1)
    net, forwards, plan = Mixed(model, "body"), Forwards(model), RealFakePolicy("body").draw(3)
    for arguments in ({}, {"gain": gain}, {"gain": {"of": gain}}, {"gain": None}):
        assert forwards.of(lambda named=arguments: net(x, plan=plan, mode="append", **named)) > 1
        assert forwards.of(lambda named=arguments: net(x, plan=plan, mode="append", **named)) == 1
    other = torch.randn(8, 5), torch.rand(8, 1)
    assert forwards.of(lambda: net(other[0], gain=other[1], plan=RealFakePolicy("body").draw(4), mode="append")) == 1


@pytest.mark.parametrize("layers", [1, 3, 5])
def test_the_cost_in_forwards(layers: int) -> None:
    """A first forward, one for comparison, two to a split of the rows, and a handful for each layer."""
    model = nn.Sequential(*(module for _ in range(6) for module in (nn.Linear(5, 5), nn.Tanh())))
    names = ",".join(str(2 * k) for k in range(layers))
    forwards = Forwards(model)
    cost = forwards.of(lambda: Mixed(model, names).check(torch.randn(64, 5)))
    assert cost <= 16 + 4 * layers, cost
    unchecked, plan = Mixed(model, names, check=False), RealFakePolicy("0").draw(4)
    assert forwards.of(lambda: unchecked(torch.randn(8, 5), plan=plan, mode="append")) == 1


class Shuffled(Gained):
    """Rows meet by way of the side input."""

    def forward(self, x: Tensor, gain: Any = None) -> Tensor:
        return super().forward(x) + (0 if gain is None else gain.flip(0))


def test_a_compiled_call_with_other_arguments_than_were_looked_at_is_refused() -> None:
    torch.compiler.reset()
    net, x, plan = Mixed(Shuffled(), "body"), torch.randn(6, 5), RealFakePolicy("body").draw(3)
    net.check(x)
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, plan=plan, mode="append"), net(x, plan=plan, mode="append"))
    with pytest.raises(Exception, match=r"Observed exception|cannot look at the network"):
        compiled(x, gain=torch.rand(6, 1), plan=plan, mode="append")
    torch.compiler.reset()
