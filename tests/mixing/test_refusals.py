"""What Mixed refuses, each message naming what is wrong and what would be right."""

import difflib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mmgan import Mixed, MixPlan, PermutationPolicy, RealFakePolicy
from mmgan.errors import UserError
from mmgan.mixing.verdict import Mode


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
    with pytest.raises(UserError, match="'first', 'act', 'last'"):  # nothing is near: the first names
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


@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("twice", r"'twice' runs more than once in a forward: choose one that runs once"),
        ("never", r"'never' did not run in this forward.*choose a layer that always runs"),
        ("scalar", r"'scalar' yields a tensor of shape \(\), not a tensor with the batch of 4 rows first"),
        ("transposed", r"'transposed' yields a tensor of shape \(3, 4\).*batch of 4 rows first"),
        ("lister", r"'lister' does not reach the network's output: choose another"),
        ("empty", r"'empty' yields tuple, not a tensor with the batch of 4 rows first"),
        ("integers", r"'integers' yields torch.int64 values, which cannot be interpolated: choose a later layer"),
    ],
)
def test_unfit_layers(layer: str, message: str, mode: Mode) -> None:
    net, x = Mixed(Odd(), ["once", layer]), torch.randn(4, 3)
    with pytest.raises(UserError, match=message):
        net(x, plan=plan_at(layer), mode=mode)
    assert torch.equal(net(x), x), "a refusal leaves nothing behind"
    assert not torch.equal(net(x, plan=plan_at("once")), x)


def test_plans_that_do_not_fit() -> None:
    net, x = Mixed(net_of(), "first,pixel"), torch.randn(4, 3)
    with pytest.raises(UserError, match=r"mixes at 'last', but this network was wrapped for 'first', 'pixel'"):
        net(x, plan=plan_at("last"))
    with pytest.raises(UserError, match="wrapped for no layers at all"):
        Mixed(net_of(), "none")(x, plan=plan_at("first"))
    with pytest.raises(UserError, match="a layer of its own"):
        net(x, plan=(plan_at("first"), plan_at("first")))
    with pytest.raises(UserError, match="a layer of its own"):
        net(x, plan=(plan_at("first"), PermutationPolicy("none").draw(4)))
    with pytest.raises(UserError, match="mode='append' takes one plan"):
        net(x, plan=(plan_at("first"), plan_at("pixel")), mode="append")
    with pytest.raises(UserError, match="passes 'both' is unknown: choose joint or separate"):
        Mixed(net_of(), "first", passes="both")  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["replace", "append", "alone"])
def test_a_plan_for_another_number_of_rows(mode: Mode) -> None:
    net = Mixed(net_of(), "first,pixel")
    for layer in net.layers:
        for rows in (3, 5):
            with pytest.raises(UserError, match=rf"the plan is for {rows} rows, but the batch has 4: draw it for this"):
                net(torch.randn(4, 3), plan=plan_at(layer, rows), mode=mode)
    with pytest.raises(UserError, match=r"for 4 rows, but the batch has 2.* \(of b real on b fake rows it is for 2b\)"):
        net(torch.randn(2, 3), plan=RealFakePolicy("first").draw(2), mode=mode)


def test_the_former_call_is_refused_with_the_new_one() -> None:
    with pytest.raises(UserError, match=r"a plan goes by keyword: net\(x, plan=plan\)"):
        Mixed(net_of(), "first")(torch.randn(4, 3), plan_at("first"))
    with pytest.raises(UserError, match="mode 'add' is unknown: choose replace, append, alone"):
        Mixed(net_of(), "first")(torch.randn(4, 3), plan=plan_at("first"), mode="add")  # type: ignore[arg-type]


class Bytes(nn.Module):
    """Converts its images itself."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.last = Scale(), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.scale(x))


class Scale(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 127.5 - 1


@pytest.mark.parametrize("mode", ["replace", "append", "alone"])
def test_uint8_pixels_are_refused(mode: Mode) -> None:
    net, pixels = Mixed(Bytes(), "pixel,scale"), torch.randint(256, (4, 3), dtype=torch.uint8)
    with pytest.raises(UserError, match=r"'pixel' yields torch.uint8 values, .* or convert images to float"):
        net(pixels, plan=plan_at("pixel"), mode=mode)
    assert net(pixels, plan=plan_at("scale"), mode=mode).is_floating_point()


@pytest.mark.parametrize("mode", ["replace", "append", "alone"])
def test_data_parallel_is_refused(mode: Mode) -> None:
    """A replica, as nn.DataParallel makes them."""
    net = Mixed(net_of(), "first")._replicate_for_data_parallel()  # type: ignore[no-untyped-call]
    with pytest.raises(UserError, match=r"nn\.DataParallel cuts the batch that a plan is for: use DistributedData"):
        net(torch.randn(4, 3), plan=plan_at("first"), mode=mode)
