"""Plans for networks that join several rows to one (PacGAN, CTGAN)."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mmgan import Mixed, PermutationPolicy, RealFakePolicy, real_fake_labels
from mmgan.errors import UserError

quick = settings(max_examples=60, deadline=None, derandomize=True)
RULES = ["linear", "cutmix", "statistics"]


@quick
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 10**6), st.sampled_from(RULES), st.booleans())
def test_rows_of_a_pack_share_lam_and_meet_one_other_pack(
    packs: int, pack: int, step: int, rule: Any, real_fake: bool
) -> None:
    b = packs * pack
    policy: Any = RealFakePolicy("1,2", rule=rule) if real_fake else PermutationPolicy("1,2", per="example", rule=rule)
    plan = policy.draw(b, step, pack=pack)
    assert len(plan) == b
    assert plan.pack == pack
    assert plan.parts == ((b, b) if real_fake else (b,))
    for side in (plan.left, plan.right):
        groups = side.view(packs, pack)
        assert torch.equal(groups, groups[:, :1] + torch.arange(pack)), "neighbours in order"
        assert not (groups[:, 0] % pack).any(), "whole packs"
        assert len(groups[:, 0].unique()) == packs
    assert (plan.lam.view(packs, pack) == plan.lam.view(packs, pack)[:, :1]).all()
    assert (plan.box is None) == (rule != "cutmix")
    if plan.box is not None:
        boxes = plan.box.view(packs, pack, 4)
        assert torch.equal(boxes, boxes[:, :1].expand_as(boxes))
    assert plan.used.tolist() == sorted({*plan.left.tolist(), *plan.right.tolist()})
    joined, alone = plan.of_outputs(), policy.draw(packs, step)
    for name in ("left", "right", "lam"):
        assert torch.equal(getattr(joined, name), getattr(alone, name)), "as if each pack were a row"
    assert (joined.layer, joined.parts, joined.pack, joined.rule) == (alone.layer, alone.parts, 1, rule)


@pytest.mark.parametrize("pack", [1, 2, 3])
def test_labels_of_packs_are_those_of_their_rows(pack: int) -> None:
    plan = RealFakePolicy("1", alpha=1.0).draw(6, step=4, pack=pack)
    rows = plan.mix_labels(real_fake_labels(6))
    assert torch.equal(plan.of_outputs().mix_labels(real_fake_labels(6 // pack)), rows[::pack])
    assert torch.equal(rows.view(-1, pack), rows[::pack, None].expand(-1, pack))


class Packing(nn.Module):
    """(n, f) -> (n / pack, 1)"""

    def __init__(self, pack: int) -> None:
        super().__init__()
        self.pack, self.inner, self.outer = pack, nn.Linear(5, 4), nn.Linear(4 * pack, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x).relu().view(-1, 4 * self.pack))


@pytest.mark.parametrize("layer", ["pixel", "inner"])
def test_mixed_packs_by_hand(layer: str) -> None:
    torch.manual_seed(0)
    model, x = Packing(3).double(), torch.randn(12, 5, dtype=torch.float64)
    net, plan = Mixed(model, layer), RealFakePolicy(layer, alpha=1.0).draw(6, pack=3)
    lam = plan.lam.double()[:, None]
    h = x if layer == "pixel" else model.inner(x)
    h = lam * h[plan.left] + (1 - lam) * h[plan.right]
    h = model.inner(h) if layer == "pixel" else h
    wanted = model.outer(h.relu().view(2, 12))
    torch.testing.assert_close(net(x, plan=plan, mode="alone"), wanted)
    real, fake, mixed = plan.split(net(x, plan=plan, mode="append"))
    plain = model(x)
    torch.testing.assert_close((real, fake, mixed), (plain[:2], plain[2:], wanted))


def test_split_cuts_each_tensor_of_a_nest() -> None:
    plan = RealFakePolicy("1").draw(4, pack=2)
    output = {"a": torch.arange(6.0), "b": [torch.arange(12.0).view(6, 2)], "c": None}
    real, fake, mixed = plan.split(output)
    assert [part["a"].tolist() for part in (real, fake, mixed)] == [[0, 1], [2, 3], [4, 5]]
    assert [part["b"][0].shape for part in (real, fake, mixed)] == [(2, 2)] * 3
    assert real["c"] is None
    plain, mixed = PermutationPolicy("1").draw(4, pack=2).split(torch.arange(4.0))
    assert (plain.tolist(), mixed.tolist()) == ([0, 1], [2, 3])


def test_what_cannot_be_packed_is_refused() -> None:
    for policy in (RealFakePolicy("1"), PermutationPolicy("1")):
        for pack in (0, -1, 3):
            with pytest.raises(UserError, match=rf"4 rows cannot be cut into packs of {pack}: choose a multiple"):
                policy.draw(4, pack=pack)
    plan = RealFakePolicy("1").draw(4, pack=2)
    with pytest.raises(UserError, match=r"output\['a'\] of shape \(12,\) does not have the 6 rows of an appended"):
        plan.split({"a": torch.zeros(12)})
    x = torch.randn(8, 5)
    with pytest.raises(UserError, match=r"joins 2 rows to one, but the plan is for packs of 1: draw it with pack=2"):
        Mixed(Packing(2), "inner")(x, plan=RealFakePolicy("inner").draw(4), mode="append")
    with pytest.raises(UserError, match=r"joins 1 rows to one, but the plan is for packs of 2"):
        Mixed(nn.Sequential(nn.Linear(5, 1)), "0")(x, plan=RealFakePolicy("0").draw(4, pack=2), mode="append")


@pytest.mark.parametrize("pack", [2])
def test_a_layer_behind_the_packing_is_refused(pack: int) -> None:
    """Its rows are packs: mixing them by a plan of rows would pair other rows than the plan says."""
    with pytest.raises(UserError, match="outer"):
        Mixed(Packing(pack), "outer")(torch.randn(8, 5), plan=RealFakePolicy("outer").draw(4, pack=pack), mode="append")
