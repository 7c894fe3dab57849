"""What Mixed refuses, each message naming what is wrong and what would be right."""

import difflib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mmgan import Mixed, MixPlan, PermutationPolicy
from mmgan.errors import UserError


def net_of() -> nn.Sequential:
    model = nn.Sequential()
    model.add_module("first", nn.Linear(3, 4))
    model.add_module("act", nn.ReLU())
    model.add_module("last", nn.Linear(4, 2))
    return model


def plan_at(layer: str, n: int = 4) -> MixPlan:
    return PermutationPolicy(layer).draw(n)


def test_unknown_layer_lists_the_nearest_names() -> None:
    with pytest.raises(UserError, match=r"'frist' is not in this network; the nearest names are 'first'"):
        Mixed(net_of(), "pixel,frist")
    with pytest.raises(ValueError, match="'pixel'"):
        Mixed(net_of(), "pixels")
    with pytest.raises(UserError, match="'first', 'act', 'last'"):  # nothing is near: what there is
        Mixed(net_of(), "zzzzzz")


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.text(st.characters(codec="ascii", exclude_characters=","), min_size=1, max_size=8))
def test_any_other_name_is_refused_in_one_line(name: str) -> None:
    if name.strip() in ("first", "act", "last", "pixel", "none", ""):
        return
    with pytest.raises(UserError) as caught:
        Mixed(net_of(), name)
    near = difflib.get_close_matches(name.strip(), ["pixel", "first", "act", "last"], n=1, cutoff=0.4)
    assert all(f"'{match}'" in str(caught.value) for match in near)
    assert str(caught.value).count("\n") == name.strip().count("\n")


def test_names_are_given_once() -> None:
    with pytest.raises(UserError, match="twice"):
        Mixed(net_of(), "first,first")
    aliased = net_of()
    aliased.stages = {"1": "first", "h1": "first"}
    with pytest.raises(UserError, match=r"'1,h1' name one module twice: first"):
        Mixed(aliased, "1,h1")
    with pytest.raises(UserError, match="'none' stands alone"):
        Mixed(net_of(), "none,first")
    with pytest.raises(UserError, match="empty name"):
        Mixed(net_of(), "first,,last")


def test_a_stage_may_not_share_its_name_with_a_submodule_that_is_another_stage() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    model.stages = {"1": "0", "2": "1"}
    with pytest.raises(UserError, match="could mean either: rename the stage"):
        Mixed(model, "1,2")
    model.stages = {"0": "0", "1": "1"}  # the same module under both readings
    assert Mixed(model, "0,1").layers == ("0", "1")


class Odd(nn.Module):
    """Every way in which a layer can be unfit for mixing."""

    def __init__(self) -> None:
        super().__init__()
        self.once, self.twice, self.never = nn.Identity(), nn.Identity(), nn.Identity()
        self.scalar, self.transposed, self.lister, self.integers = Scalar(), Transposed(), Lister(), Integers()
        self.empty = Empty()

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(self.twice(self.once(x)))
        self.scalar(x), self.transposed(x), self.lister(x), self.integers(x), self.empty(x)
        return x


class Scalar(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum()


class Transposed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1)  # (time, batch)


class Lister(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        return [x]


class Empty(nn.Module):
    def forward(self, x: Tensor) -> tuple[()]:
        return ()


class Integers(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.argmax(1)


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        ("twice", UserError, r"'twice' runs more than once in a forward: choose one that runs once"),
        ("never", UserError, r"'never' did not run in this forward.*choose a layer that always runs"),
        ("scalar", UserError, r"'scalar' yields a tensor of shape \(\), not a tensor with the batch of 4 rows first"),
        ("transposed", UserError, r"'transposed' yields a tensor of shape \(3, 4\).*batch of 4 rows first"),
        ("lister", UserError, r"'lister' yields list, not a tensor with the batch of 4 rows first"),
        ("empty", UserError, r"'empty' yields tuple, not a tensor with the batch of 4 rows first"),
        ("integers", TypeError, r"torch.int64 values cannot be interpolated: .*one-hot"),
    ],
)
def test_unfit_layers(layer: str, error: type[Exception], message: str, append: bool) -> None:
    net, x = Mixed(Odd(), ["once", layer]), torch.randn(4, 3)
    with pytest.raises(error, match=message):
        net(x, plan_at(layer), append=append)
    assert torch.equal(net(x), x), "a refusal leaves nothing behind"
    assert not torch.equal(net(x, plan_at("once")), x)


def test_plans_that_do_not_fit() -> None:
    net, x = Mixed(net_of(), "first,pixel"), torch.randn(4, 3)
    with pytest.raises(UserError, match=r"mixes at 'last', but this network was wrapped for 'first', 'pixel'"):
        net(x, plan_at("last"))
    with pytest.raises(UserError, match="wrapped for no layers at all"):
        Mixed(net_of(), "none")(x, plan_at("first"))
    with pytest.raises(UserError, match="a layer of its own"):
        net(x, plan_at("first"), plan_at("first"))
    with pytest.raises(UserError, match="a layer of its own"):
        net(x, plan_at("first"), PermutationPolicy("none").draw(4))
    with pytest.raises(UserError, match="append=True takes one plan"):
        net(x, plan_at("first"), plan_at("pixel"), append=True)
    with pytest.raises(UserError, match="passes 'both' is unknown: choose joint or separate"):
        Mixed(net_of(), "first", passes="both")  # type: ignore[arg-type]


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize(("left", "right"), [(4, 0), (0, 4), (-1, 0), (0, -1)])
@pytest.mark.parametrize("layer", ["pixel", "first"])
def test_a_row_that_is_not_there(layer: str, left: int, right: int, append: bool, detach: bool) -> None:
    plan = MixPlan(layer, torch.tensor([left]), torch.tensor([right]), torch.tensor([0.5]))
    with pytest.raises(IndexError):
        Mixed(net_of(), layer, detach=detach)(torch.randn(4, 3), plan, append=append)


@pytest.mark.parametrize("append", [False, True])
def test_uint8_pixels_are_refused(append: bool) -> None:
    pixels = torch.zeros(4, 3, dtype=torch.uint8)
    with pytest.raises(TypeError, match=r"torch.uint8 values cannot be interpolated: convert images to float"):
        Mixed(net_of(), "pixel")(pixels, plan_at("pixel"), append=append)
