"""What plans and policies refuse, each message naming what is wrong and what would be right."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mmgan import MixPlan, PermutationPolicy, RealFakePolicy
from mmgan.errors import UserError


@pytest.mark.parametrize("call", [MixPlan.mix, MixPlan.replace])
def test_values_that_do_not_fit(call: Callable[[MixPlan, Tensor], Tensor]) -> None:
    plan = PermutationPolicy("pixel").draw(4)
    for dtype in (torch.uint8, torch.int64, torch.bool, torch.complex64):
        with pytest.raises(TypeError, match=rf"{dtype} values cannot be interpolated: convert images to float"):
            call(plan, torch.zeros(4, 3, dtype=dtype))
    with pytest.raises(ValueError, match="plan lies on cpu, the values on meta: draw it with device="):
        call(plan, torch.zeros(4, 3, device="meta"))
    with pytest.raises(ValueError, match="scalar"):
        call(plan, torch.tensor(1.0))


def test_plans_are_checked_when_made() -> None:
    i, lam = torch.arange(3), torch.ones(3)
    for left, right, weights in [(i.int(), i, lam), (i, i.float(), lam), (i, i, i), (i, i, lam.bool())]:
        with pytest.raises(TypeError, match="int64 left and right and floating-point lam"):
            MixPlan("pixel", left, right, weights, parts=(3,))
    for left, right, weights in [(i[:2], i, lam), (i, i, lam[:1]), (i[None], i[None], lam[None]), (i, i, lam[0])]:
        with pytest.raises(ValueError, match="one-dimensional and of one length"):
            MixPlan("pixel", left, right, weights, parts=(3,))
    with pytest.raises(ValueError, match="lie on one device, not cpu, cpu, meta"):
        MixPlan("pixel", i, i, lam.to("meta"), parts=(3,))


@pytest.mark.parametrize(("left", "right", "row"), [(4, 0, 4), (0, 4, 4), (-1, 0, -1), (0, -1, -1)])
def test_a_row_that_is_not_there(left: int, right: int, row: int) -> None:
    with pytest.raises(ValueError, match=f"the plan is for 4 rows, but names row {row}"):
        MixPlan("pixel", torch.tensor([left]), torch.tensor([right]), torch.tensor([0.5]), parts=(2, 2))


def test_values_with_another_number_of_rows() -> None:
    for plan in (PermutationPolicy("pixel").draw(4), RealFakePolicy("pixel").draw(2)):
        for rows in (3, 5):
            for call in (plan.mix, plan.replace):
                with pytest.raises(ValueError, match=f"the plan is for 4 rows, but the values have {rows}"):
                    call(torch.zeros(rows, 3))


@pytest.mark.parametrize("policy", [PermutationPolicy, RealFakePolicy])
def test_policies_refuse_what_does_not_exist(policy: type) -> None:
    for alpha in (0.0, -1.0, 1.01, float("inf"), float("nan")):
        with pytest.raises(UserError, match=rf"alpha {alpha} is out of range.*0 < alpha <= 1"):
            policy("1", alpha=alpha, lam="uniform")
    for law in ("beta", "folded-beta"):
        for alpha in (0.0, -2.0, float("inf"), float("nan")):
            with pytest.raises(UserError, match=rf"alpha {alpha} is out of range.*finite alpha > 0"):
                policy("1", alpha=alpha, lam=law)
    with pytest.raises(UserError, match="'gauss' is not a law: choose one of beta, uniform, folded-beta"):
        policy("1", lam="gauss")
    with pytest.raises(UserError, match="per 'row' is unknown: choose one of batch, example"):
        policy("1", per="row")
    with pytest.raises(UserError, match="twice"):
        policy("1,1")


def test_pair_kinds_and_layer_choice() -> None:
    with pytest.raises(UserError, match="'real-real' is unknown: choose one of real-fake, fake-real, fake-fake"):
        RealFakePolicy("1", pairs=["real-real"])  # type: ignore[list-item]
    for pairs in ([], ["fake-fake", "fake-fake"]):
        with pytest.raises(UserError, match="one kind or more, each once, of real-fake, fake-real, fake-fake"):
            RealFakePolicy("1", pairs=pairs)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="layer_per 'row' is unknown"):
        PermutationPolicy("1", layer_per="row")  # type: ignore[arg-type]
