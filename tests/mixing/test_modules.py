"""Mixed as a torch module: its state dict, copies, pickles, and that it is inert when nothing is mixed."""

import copy
import io
import pickle

import pytest
import torch
from torch import Tensor, nn

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
    for append in (False, True):
        assert torch.equal(net(x, RealFakePolicy("none").draw(2), append=append), bare(x)), "the baseline has no rows"
    net(x, RealFakePolicy(case.layers).draw(2), append=True)
    assert torch.equal(net(x), bare(x))
    assert torch.equal(model(x), bare(x)), "the model stays usable beside its wrapper"


def test_no_call_draws_random_numbers() -> None:
    net, x = Mixed(mlp(), "0"), torch.ones(4, 5)
    before = torch.get_rng_state()
    net(x)
    net(x, RealFakePolicy("0").draw(2), append=True)
    assert torch.equal(torch.get_rng_state(), before)


def test_baseline_registers_nothing() -> None:
    model = mlp()
    assert Mixed(model, "none").layers == Mixed(model, []).layers == ()
    assert not any(module._forward_hooks for module in model.modules())


def test_a_deep_copy_is_independent() -> None:
    torch.manual_seed(0)
    x, plan = torch.randn(4, 5), PermutationPolicy("2").draw(4)
    net = Mixed(mlp(), "2")
    wanted = net(x, plan)
    twin = copy.deepcopy(net)
    assert torch.equal(twin(x, plan), wanted)
    with torch.no_grad():
        for p in twin.parameters():
            p.zero_()
    assert torch.equal(net(x, plan), wanted)
    assert not twin(x, plan).any()
    bare = copy.deepcopy(net.model)  # taps of a copy of the model alone have no wrapper that drives them
    assert torch.equal(bare(x), net(x))
    assert torch.equal(Mixed(bare, "2")(x, plan), wanted)


def test_pickles() -> None:
    x, plan, net = torch.randn(4, 5), PermutationPolicy("2").draw(4), Mixed(mlp(), "2")
    assert torch.equal(pickle.loads(pickle.dumps(net))(x, plan), net(x, plan))
    file = io.BytesIO()
    torch.save((net, plan), file)
    file.seek(0)
    loaded, loaded_plan = torch.load(file, weights_only=False)
    assert torch.equal(loaded(x, loaded_plan), net(x, plan))


def test_two_wrappers_of_one_network_do_not_meet() -> None:
    model, x = mlp(), torch.randn(4, 5)
    one, two = Mixed(model, "0"), Mixed(model, "0,2", detach=True)
    fresh = Mixed(copy.deepcopy(model), "0")
    plan = PermutationPolicy("0").draw(4)
    assert torch.equal(one(x, plan), fresh(x, plan))
    assert torch.equal(two(x, plan), fresh(x, plan))
    assert two.model[0].weight.grad is None


def test_resolved_names() -> None:
    model = mlp()
    model.stages = {"1": "2", "in": "pixel"}
    net = Mixed(model, ["in", 1])  # type: ignore[list-item]
    assert net.layers == ("pixel", "2")
    x = torch.randn(4, 5)
    for name, layer in [("in", "pixel"), ("1", "2"), ("2", "2"), ("pixel", "pixel")]:
        assert torch.equal(
            net(x, PermutationPolicy(name).draw(4)), Mixed(mlp_like(model), layer)(x, PermutationPolicy(layer).draw(4))
        )


def mlp_like(model: nn.Module) -> nn.Module:
    fresh = mlp()
    fresh.load_state_dict(model.state_dict())
    return fresh
