"""MixPlan on every kind of values: labels, dtypes, memory formats, shapes, sizes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mmgan import Mixed, MixPlan, PermutationPolicy, RealFakePolicy, real_fake_labels
from mmgan.mixing.verdict import Mode


def plan_of(left: list[int], right: list[int], lam: list[float] | Tensor, rows: int) -> MixPlan:
    return MixPlan("pixel", torch.tensor(left), torch.tensor(right), torch.as_tensor(lam), parts=(rows,))


def test_the_label_functions_four_cases() -> None:
    """Appendix E: y(lam; x1, x2) is 1, lam, 1 - lam, 0 for real-real, real-fake, fake-real, fake-fake."""
    b, lam = 3, [0.3, 0.2, 0.9, 0.6]
    labels = real_fake_labels(b)
    assert labels.tolist() == [1, 1, 1, 0, 0, 0]
    assert labels.dtype == torch.float32
    got = plan_of([0, 1, 4, 5], [2, 3, 0, 4], lam, rows=6).mix(labels)
    torch.testing.assert_close(got, torch.tensor([1.0, lam[1], 1 - lam[2], 0.0]))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 20), st.integers(0, 10**6))
def test_labels_of_drawn_pairs_follow_the_four_cases(b: int, step: int) -> None:
    plan = RealFakePolicy("1", alpha=1.0).draw(b, step)
    for label, i, j, lam in zip(plan.mix(real_fake_labels(b)), plan.left, plan.right, plan.lam, strict=True):
        x1_real, x2_real = bool(i < b), bool(j < b)
        assert not (x1_real and x2_real)
        wanted = lam if x1_real else 1 - lam if x2_real else torch.tensor(0.0)
        assert label.item() == pytest.approx(wanted.item(), abs=1e-7)


finite = st.floats(-1e3, 1e3, width=32)
rows = st.integers(0, 4)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(finite, min_size=5, max_size=5), st.lists(st.tuples(rows, rows, st.floats(0, 1, width=32)), max_size=7))
def test_the_formula_and_its_laws(values: list[float], pairs: list[tuple[int, int, float]]) -> None:
    x = torch.tensor(values, dtype=torch.float64)
    plan = MixPlan(
        "pixel",
        torch.tensor([i for i, _, _ in pairs], dtype=torch.int64),
        torch.tensor([j for _, j, _ in pairs], dtype=torch.int64),
        torch.tensor([lam for _, _, lam in pairs], dtype=torch.float32),
        parts=(5,),
    )
    got = plan.mix(x)
    assert len(plan) == len(got) == len(pairs)
    for value, (i, j, lam) in zip(got.tolist(), pairs, strict=True):
        assert value == pytest.approx(lam * values[i] + (1 - lam) * values[j], abs=1e-9)
        assert min(values[i], values[j]) - 1e-9 <= value <= max(values[i], values[j]) + 1e-9
        if values[i] == values[j]:
            assert value == values[i]
    swapped = MixPlan("pixel", plan.right, plan.left, 1 - plan.lam.double(), parts=(5,)).mix(x)
    torch.testing.assert_close(swapped, got)
    torch.testing.assert_close(plan.mix(2 * x - 1), 2 * got - 1)  # affine maps commute with it
    assert x.tolist() == values, "the values stay as they are"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_dtype_is_kept_and_reduced_precision_rounded_once(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 33).to(dtype)
    plan = RealFakePolicy("pixel", alpha=1.0).draw(32)
    lam = plan.lam.double()[:, None]
    exact = lam * x[plan.left].double() + (1 - lam) * x[plan.right].double()
    computed_in = torch.finfo(torch.promote_types(dtype, torch.float32)).eps
    half_a_place = torch.finfo(dtype).eps / 2
    for got in (plan.mix(x), Mixed(nn.Identity(), "pixel")(x, plan=plan, mode="append")[64:]):
        assert got.dtype == dtype
        torch.testing.assert_close(got.double(), exact, rtol=1.01 * half_a_place, atol=8 * computed_in)
    for got in (plan.replace(x), Mixed(nn.Linear(33, 2).to(dtype), "pixel")(x, plan=plan)):
        assert got.dtype == dtype


def test_lam_is_not_rounded_to_the_precision_of_the_values() -> None:
    lam = torch.tensor([1 - 2.0**-12])  # 1 in bfloat16
    x = torch.tensor([0.0, 2.0**12], dtype=torch.bfloat16)
    assert plan_of([0], [1], lam, rows=2).mix(x).item() == 1.0


@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize("layer", ["pixel", "0", "1"])
def test_channels_last_stays_channels_last(layer: str, mode: Mode) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1), nn.Identity())
    model = model.to(memory_format=torch.channels_last)
    x = torch.randn(6, 3, 8, 8)
    plan = RealFakePolicy(layer).draw(3) if mode == "append" else PermutationPolicy(layer).draw(6)
    seen: list[Tensor] = []
    model[2].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    got = Mixed(model, layer)(x.to(memory_format=torch.channels_last), plan=plan, mode=mode)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    assert not seen[0].is_contiguous()
    torch.testing.assert_close(got, Mixed(model, layer)(x, plan=plan, mode=mode))
    values = torch.randn(6, 3, 8, 8).to(memory_format=torch.channels_last)
    for mixed in (plan.mix(values), plan.replace(values)):
        assert mixed.is_contiguous(memory_format=torch.channels_last)
    assert plan.mix(values.contiguous()).is_contiguous()


@pytest.mark.parametrize("shape", [(), (3,), (3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 6)])
@pytest.mark.parametrize("b", [1, 2, 5])
def test_any_shape_and_odd_and_single_row_batches(shape: tuple[int, ...], b: int) -> None:
    x = torch.randn(2 * b, *shape, dtype=torch.float64)
    net = Mixed(nn.Identity(), "pixel")
    plan = RealFakePolicy("pixel").draw(b)
    lam = plan.lam.double().view(-1, *[1] * len(shape))
    torch.testing.assert_close(
        net(x, plan=plan, mode="append"), torch.cat([x, lam * x[plan.left] + (1 - lam) * x[plan.right]])
    )
    plan = PermutationPolicy("pixel").draw(2 * b - 1)
    lam = plan.lam[0].double()
    torch.testing.assert_close(net(x[1:], plan=plan), lam * x[1:] + (1 - lam) * x[1:][plan.right])


def test_an_empty_plan_adds_nothing() -> None:
    x = torch.randn(4, 3)
    plan = RealFakePolicy("none").draw(2)
    assert plan.mix(x).shape == (0, 3)
    assert torch.equal(plan.replace(x), x)


def test_a_plan_moves_to_a_device_and_is_drawn_there() -> None:
    for plan in (PermutationPolicy("1").draw(4).to("meta"), RealFakePolicy("1").draw(4, device="meta")):
        assert plan.left.is_meta
        assert plan.right.is_meta
        assert plan.lam.is_meta
        assert plan.mix(torch.empty(plan.rows, 3, device="meta")).shape == (4, 3)
    assert real_fake_labels(2, device="meta").is_meta
    with pytest.raises(AttributeError):
        PermutationPolicy("1").draw(4).layer = "2"  # type: ignore[misc]
