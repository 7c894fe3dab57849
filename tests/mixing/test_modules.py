"""Mixed as a torch module: its state dict, copies, pickles, and that it is inert when nothing is mixed."""

import copy
import io
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import get_model_state_dict, set_model_state_dict

from mmgan import Mixed, PermutationPolicy, RealFakePolicy
from mmgan.discriminators import build_discriminator
from tests.support.by_hand import CASES, mlp


class Nested(nn.Module):
    """A network that itself has a child called "model", with keys that clash once a prefix is dropped or added."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.model = nn.Module()
        self.model.fc = nn.Linear(3, 3)
        self.model.model = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.model.model(self.model.fc(self.fc(x)))


BUILDERS = {
    "mlp": mlp,
    "batch norm": lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)),
    "spectral norm": lambda: build_discriminator("resnet", 16, channels=1, width=2),
    "nested": Nested,
}


@pytest.mark.parametrize("name", BUILDERS)
def test_state_dict_is_the_models_own(name: str) -> None:
    torch.manual_seed(0)
    model = BUILDERS[name]()
    own = {key: value.clone() for key, value in model.state_dict().items()}
    net = Mixed(model, "pixel")
    assert list(net.state_dict()) == list(own)
    torch.testing.assert_close(dict(net.state_dict()), own, rtol=0, atol=0)
    for source, target in [(own, Mixed(BUILDERS[name](), "pixel")), (net.state_dict(), BUILDERS[name]())]:
        assert any(not torch.equal(value, own[key]) for key, value in target.state_dict().items())
        target.load_state_dict(source)
        torch.testing.assert_close(dict(target.state_dict()), own, rtol=0, atol=0)


@pytest.mark.parametrize("name", BUILDERS)
def test_state_dict_inside_other_modules(name: str) -> None:
    def outer(mixed: bool) -> nn.ModuleDict:
        inner = BUILDERS[name]()
        return nn.ModuleDict({"model": Mixed(inner, "pixel") if mixed else inner, "other": nn.Linear(2, 2)})

    source, plain = outer(True), outer(False)
    assert set(source.state_dict()) == set(plain.state_dict())
    plain.load_state_dict(source.state_dict())
    again = outer(True)
    again.load_state_dict(plain.state_dict())
    torch.testing.assert_close(dict(again.state_dict()), dict(source.state_dict()), rtol=0, atol=0)
    twice = Mixed(Mixed(BUILDERS[name](), "pixel"), "pixel")
    twice.load_state_dict(source["model"].state_dict())
    assert set(twice.state_dict()) == set(source["model"].state_dict())


def test_keys_that_do_not_fit_are_still_found() -> None:
    net = Mixed(mlp(), "0")
    state = dict(net.state_dict())
    del state["0.weight"]
    with pytest.raises(RuntimeError, match="Missing key"):
        net.load_state_dict(state)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        net.load_state_dict({**net.state_dict(), "9.weight": torch.zeros(1)})


@pytest.mark.parametrize("name", CASES)
def test_plain_forward_is_bitwise_the_models(name: str) -> None:
    case = CASES[name]
    model = case.build().eval()
    bare, x = copy.deepcopy(model), torch.randn(4, *case.shape)
    net = Mixed(model, case.layers)
    assert torch.equal(net(x), bare(x))
    for mode in ("replace", "append"):
        assert torch.equal(net(x, plan=RealFakePolicy("none").draw(2), mode=mode), bare(x)), "the baseline has no rows"
    net(x, plan=RealFakePolicy(case.layers).draw(2), mode="append")
    assert torch.equal(net(x), bare(x))
    assert torch.equal(model(x), bare(x)), "the model stays usable next to its wrapper"


def test_no_call_draws_random_numbers() -> None:
    net, x = Mixed(mlp(), "0"), torch.ones(4, 5)
    before = torch.get_rng_state()
    net(x)
    net(x, plan=RealFakePolicy("0").draw(2), mode="append")
    assert torch.equal(torch.get_rng_state(), before)


def test_baseline_registers_nothing() -> None:
    model = mlp()
    assert Mixed(model, "none").layers == Mixed(model, []).layers == ()
    assert not any(module._forward_hooks for module in model.modules())


def test_a_deep_copy_is_independent() -> None:
    torch.manual_seed(0)
    x, plan = torch.randn(4, 5), PermutationPolicy("2").draw(4)
    net = Mixed(mlp(), "2")
    wanted = net(x, plan=plan)
    twin = copy.deepcopy(net)
    assert torch.equal(twin(x, plan=plan), wanted)
    with torch.no_grad():
        for p in twin.parameters():
            p.zero_()
    assert torch.equal(net(x, plan=plan), wanted)
    assert not twin(x, plan=plan).any()
    bare = copy.deepcopy(net.model)  # taps of a copy of the model alone have no wrapper that drives them
    assert torch.equal(bare(x), net(x))
    assert torch.equal(Mixed(bare, "2")(x, plan=plan), wanted)
    twin.to(torch.float64)
    assert net(x, plan=plan).dtype == torch.float32


def test_pickles() -> None:
    x, plan, net = torch.randn(4, 5), PermutationPolicy("2").draw(4), Mixed(mlp(), "2")
    assert torch.equal(pickle.loads(pickle.dumps(net))(x, plan=plan), net(x, plan=plan))
    file = io.BytesIO()
    torch.save((net, plan), file)
    file.seek(0)
    loaded, loaded_plan = torch.load(file, weights_only=False)
    assert torch.equal(loaded(x, plan=loaded_plan), net(x, plan=plan))


def test_two_wrappers_of_one_network_do_not_meet() -> None:
    model, x = mlp(), torch.randn(4, 5)
    one, two = Mixed(model, "0"), Mixed(model, "0,2", detach=True)
    fresh = Mixed(copy.deepcopy(model), "0")
    plan = PermutationPolicy("0").draw(4)
    assert torch.equal(one(x, plan=plan), fresh(x, plan=plan))
    assert torch.equal(two(x, plan=plan), fresh(x, plan=plan))
    assert two.model[0].weight.grad is None


class Named(nn.Module):
    """Children with the names of the wrapper's own attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3), nn.BatchNorm1d(3)])
        self.model, self.detach = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x).tanh()
        return self.detach(self.model(x))


@pytest.mark.parametrize("build", [Named, Nested, *(case.build for case in CASES.values())])
def test_distributed_checkpoints(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    model, other = build(), build()
    for parameter in other.parameters():
        parameter.data += 1
    own = {key: value.clone() for key, value in model.state_dict().items()}
    saved = get_model_state_dict(Mixed(model, "pixel"))
    assert list(saved) == list(own)
    torch.testing.assert_close(saved, own, rtol=0, atol=0)
    assert any(not torch.equal(value, own[key]) for key, value in other.state_dict().items())
    set_model_state_dict(Mixed(other, "pixel"), saved)
    torch.testing.assert_close(dict(other.state_dict()), own, rtol=0, atol=0)
    outer = nn.ModuleDict({"d": Mixed(model, "pixel")})
    assert list(get_model_state_dict(outer)) == [f"d.{key}" for key in own]


def test_children_with_the_names_of_the_wrappers_attributes() -> None:
    model, x, plan = Named().eval(), torch.randn(4, 3), PermutationPolicy("model").draw(4)
    net = Mixed(model, "layers.0,model")
    assert net.layers == ("layers.0", "model")
    assert net.model is model
    hidden = model.model(model.layers[1](model.layers[0](x).tanh()).tanh())
    torch.testing.assert_close(net(x, plan=plan), model.detach(plan.replace(hidden)))
    assert [name for name, _ in net.named_parameters()] == [name for name, _ in model.named_parameters()]


def test_what_a_network_does_when_it_is_converted_is_done() -> None:
    class Converted(nn.Linear):
        def _apply(self, fn: Any, recurse: bool = True) -> nn.Module:
            self.seen = True
            return super()._apply(fn, recurse)

    net = Mixed(Converted(3, 2), "pixel")
    assert net.double() is net
    assert net.model.seen
    assert net.weight.dtype == torch.float64


def test_threads_do_not_meet() -> None:
    """Two threads inside one network at once, at different layers: each waits in the first layer for the other."""
    torch.manual_seed(0)
    net, x = Mixed(mlp(), "0,2,pixel"), torch.randn(6, 5)
    net.check(x)
    plans = [RealFakePolicy(layer, alpha=1.0).draw(3) for layer in ("2", "pixel")]
    modes = ("append", "alone")
    wanted = [net(x, plan=plan, mode=mode) for plan, mode in zip(plans, modes, strict=True)]
    barrier = threading.Barrier(2, timeout=20)

    def wait(*_: Any) -> None:
        barrier.wait()

    net.model[0].register_forward_hook(wait)
    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda plan, mode: net(x, plan=plan, mode=mode), plans, modes))
    torch.testing.assert_close(got, wanted, rtol=0, atol=0)


def test_resolved_names() -> None:
    model = mlp()
    model.stages = {"1": "2", "in": "pixel"}
    net = Mixed(model, ["in", 1])  # type: ignore[list-item]
    assert net.layers == ("pixel", "2")
    x = torch.randn(4, 5)
    for name, layer in [("in", "pixel"), ("1", "2"), ("2", "2"), ("pixel", "pixel")]:
        assert torch.equal(
            net(x, plan=PermutationPolicy(name).draw(4)),
            Mixed(mlp_like(model), layer)(x, plan=PermutationPolicy(layer).draw(4)),
        )


def mlp_like(model: nn.Module) -> nn.Module:
    fresh = mlp()
    fresh.load_state_dict(model.state_dict())
    return fresh
