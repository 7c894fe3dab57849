"""Mixed against mixing written out, at every layer, in both modes, on networks that were not written for it."""

import copy

import pytest
import torch
from torch import Tensor, nn

from mmgan import Mixed, MixPlan, PermutationPolicy, RealFakePolicy
from mmgan.errors import UserError
from mmgan.mixing.verdict import Mode
from tests.support.by_hand import CASES, Case, assert_equal_to_hand, forward, gradients, mixed_rows, replaced

EVERY = [pytest.param(CASES[name], layer, id=f"{name}-{layer}") for name in CASES for layer in CASES[name].layers]


def plan_of(layer: str, left: list[int], right: list[int], lam: list[float], rows: int) -> MixPlan:
    return MixPlan(layer, torch.tensor(left), torch.tensor(right), torch.tensor(lam), parts=(rows,))


@pytest.mark.parametrize(("case", "layer"), EVERY)
def test_replace_is_the_formula(case: Case, layer: str) -> None:
    plan = PermutationPolicy(layer, per="example").draw(5, step=3)
    assert_equal_to_hand(case, [plan], mode="replace", n=5, train=True)


@pytest.mark.parametrize(("case", "layer"), EVERY)
def test_append_is_the_formula(case: Case, layer: str) -> None:
    plan = RealFakePolicy(layer, alpha=1.0).draw(3, step=3)
    assert_equal_to_hand(case, [plan], mode="append", n=6, train=False)


def test_replace_leaves_the_other_rows_alone() -> None:
    plan = plan_of("2", [4, 1], [1, 3], [0.3, 0.9], rows=6)
    assert_equal_to_hand(CASES["mlp"], [plan], mode="replace", n=6, train=True)


def test_append_takes_any_number_of_pairs_and_rows_more_than_once() -> None:
    plan = plan_of("2", [0, 0, 5, 2, 2, 1, 0], [1, 1, 5, 3, 0, 0, 4], [0.0, 1.0, 0.4, 0.5, 0.25, 0.75, 0.1], rows=6)
    assert_equal_to_hand(CASES["mlp"], [plan], mode="append", n=6, train=True)


@pytest.mark.parametrize("name", CASES)
def test_one_plan_for_each_of_several_layers(name: str) -> None:
    case = CASES[name]
    plans = PermutationPolicy(case.layers[:3], layer_per="example", per="example").draw_groups(7)
    assert_equal_to_hand(case, plans, mode="replace", n=7, train=True)


class Attention(nn.Module):
    """Attention yields (values, None); what follows takes the values alone."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.last = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        values, _ = self.attention(x, x, x, need_weights=False)
        return self.last(values.relu())


def test_a_layer_that_yields_a_tuple_has_its_tensors_mixed() -> None:
    model = Attention().double()
    x = torch.randn(6, 4, 8, dtype=torch.float64)
    values, _ = model.attention(x, x, x, need_weights=False)
    plan = PermutationPolicy("attention", per="example").draw(6)
    wanted = model.last(replaced(values, plan).relu())
    torch.testing.assert_close(Mixed(model, "attention")(x, plan=plan), wanted)


@pytest.mark.parametrize("mode", ["replace", "append", "alone"])
@pytest.mark.parametrize("layer", ["self_attn", "linear2", "dropout2"])
def test_a_layer_inside_a_residual_branch_is_refused(layer: str, mode: Mode) -> None:
    model, x = CASES["transformer"].build().get_submodule("layers.0"), torch.randn(6, 4, 8)
    with pytest.raises(UserError, match=f"'{layer}' is no cut.*single modules that are cuts: 'norm1', 'norm2'"):
        Mixed(model, layer)(x, plan=PermutationPolicy(layer).draw(6), mode=mode)


@pytest.mark.parametrize("layer", CASES["transformer"].layers)
def test_torchs_fast_path_for_inference_does_not_skip_the_mix(layer: str) -> None:
    case = CASES["transformer"]
    model, x = case.build().eval(), torch.randn(6, 4, 8)
    plan = RealFakePolicy(layer).draw(3)
    with torch.no_grad():
        got = Mixed(model, layer)(x, plan=plan, mode="append")
        torch.testing.assert_close(got, forward(case, model, x, [plan], mode="append"))


@pytest.mark.parametrize("layer", ["pixel", "0", "2", "4"])
def test_detach_stops_the_gradient_of_mixed_rows_before_the_layer(layer: str) -> None:
    """By hand: the mix is a constant, and rows that are not mixed keep their path."""
    case = CASES["mlp"]
    model = case.build().double()
    twin = copy.deepcopy(model)
    x = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    pairs: list[tuple[Mode, MixPlan]] = [
        ("replace", plan_of(layer, [0, 2, 3], [2, 3, 0], [0.2, 0.7, 0.5], rows=6)),
        ("append", RealFakePolicy(layer).draw(3)),
    ]
    for mode, plan in pairs:
        head, tail = split(twin, layer)
        h = head(x)
        mix = mixed_rows(h, plan).detach()
        if mode == "append":
            h = torch.cat([h, mix])
        else:
            kept = torch.ones(6, 1, dtype=torch.bool).index_fill(0, plan.left, False)
            h = torch.where(kept, h, torch.zeros_like(h).index_copy(0, plan.left, mix))
        wanted = tail(h)
        net = Mixed(model, layer, detach=True)
        got = net(x, plan=plan, mode=mode)
        torch.testing.assert_close(got, wanted)
        torch.testing.assert_close(gradients(model, x, got), gradients(twin, x, wanted))


def split(model: nn.Module, layer: str) -> tuple[nn.Module, nn.Module]:
    k = 0 if layer == "pixel" else int(layer) + 1
    assert isinstance(model, nn.Sequential)
    return model[:k], model[k:]


def test_detached_permutation_gives_no_gradient_before_the_layer() -> None:
    model = CASES["mlp"].build()
    x = torch.randn(4, 5, requires_grad=True)
    Mixed(model, "2", detach=True)(x, plan=PermutationPolicy("2").draw(4)).sum().backward()
    assert x.grad is None or not x.grad.any()
    assert model[2].weight.grad is None or not model[2].weight.grad.any()
    assert model[4].weight.grad.any()


def test_detach_with_a_plan_at_each_layer_cuts_each_row_at_its_own() -> None:
    model = CASES["mlp"].build()
    x = torch.randn(4, 5, requires_grad=True)
    plans = plan_of("0", [0, 1], [1, 0], [0.3, 0.6], rows=4), plan_of("4", [2, 3], [3, 2], [0.3, 0.6], rows=4)
    Mixed(model, "0,4", detach=True)(x, plan=plans).square().sum().backward()
    assert not x.grad.any()
    assert not model[0].weight.grad.any()
    assert model[2].weight.grad.any()  # rows 0 and 1 were cut at layer 0 only


@pytest.mark.parametrize("layer", CASES["mlp"].layers)
def test_values_given_to_the_core_stay_as_they_are(layer: str) -> None:
    x = torch.randn(6, 5)
    before = x.clone()
    seen: list[Tensor] = []
    model = CASES["mlp"].build()
    model[0].register_forward_hook(lambda module, args, output: seen.append(output))
    Mixed(model, layer)(x, plan=RealFakePolicy(layer).draw(3), mode="append")
    assert torch.equal(x, before)
    torch.testing.assert_close(seen[0][:6], model[0](before))


def test_mixing_with_lam_one_or_a_row_with_itself_is_the_plain_forward() -> None:
    case = CASES["mlp"]
    model, x = case.build(), torch.randn(4, 5)
    wanted = forward(case, copy.deepcopy(model), x, [])
    to_itself = plan_of("2", [0, 2], [0, 2], [0.3, 0.7], rows=4)
    for plan in (plan_of("2", [0, 1, 2], [3, 3, 3], [1.0] * 3, rows=4), to_itself):
        assert torch.equal(Mixed(model, "2")(x, plan=plan), wanted)
