"""CutMix boxes and feature statistics against the papers' formulas, written out."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mmgan import Mixed, MixPlan, PermutationPolicy, RealFakePolicy, real_fake_labels
from mmgan.mixing.rules import Rule, box_mask

quick = settings(max_examples=60, deadline=None, derandomize=True)
share = st.floats(0, 1, width=32)


def boxes_of(lam: list[float], corner: list[float]) -> Tensor:
    """(M, 4) float64 boxes of area lam; `corner` in [0, 1] places them."""
    side = torch.tensor(lam, dtype=torch.float64).sqrt()
    place = torch.tensor(corner, dtype=torch.float64)
    return torch.stack([place * (1 - side), place.flip(0) * (1 - side), side, side], 1)


def plan_of(rule: Rule, lam: list[float], rows: int = 4, box: Tensor | None = None) -> MixPlan:
    left, right = torch.arange(len(lam)) % rows, (torch.arange(len(lam)) + 1) % rows
    return MixPlan("pixel", left, right, torch.tensor(lam, dtype=torch.float64), (rows // 2, rows // 2), rule, box)


def overlap(low: float, high: float, start: float, end: float) -> float:
    return max(0.0, min(high, end) - max(low, start))


def mask_by_hand(box: list[float], height: int, width: int) -> list[list[float]]:
    """The share of each pixel that the box covers."""
    y, x, h, w = box
    return [
        [
            height * overlap(i / height, (i + 1) / height, y, y + h)
            * width * overlap(j / width, (j + 1) / width, x, x + w)
            for j in range(width)
        ]
        for i in range(height)
    ]  # fmt: skip


@quick
@given(st.lists(st.tuples(share, share), min_size=1, max_size=5), st.sampled_from([(1, 1), (4, 4), (7, 3), (32, 32)]))
def test_a_mask_has_the_area_lam_at_every_resolution(drawn: list[tuple[float, float]], size: tuple[int, int]) -> None:
    lam, corner = [lam for lam, _ in drawn], [corner for _, corner in drawn]
    box = boxes_of(lam, corner)
    wanted = torch.tensor(lam, dtype=torch.float64)
    mask = box_mask(box, torch.Size(size))
    assert mask.shape == (len(lam), *size)
    assert ((mask >= 0) & (mask <= 1)).all()
    torch.testing.assert_close(mask.mean((1, 2)), wanted, rtol=0, atol=1e-12)
    for row, values in zip(mask, box.tolist(), strict=True):
        torch.testing.assert_close(row, torch.tensor(mask_by_hand(values, *size), dtype=torch.float64))
    line = box_mask(box, torch.Size([size[0] * size[1]]))
    torch.testing.assert_close(line.mean(1), wanted, rtol=0, atol=1e-12)


BOTH = [RealFakePolicy("1", alpha=1.0, rule="cutmix"), PermutationPolicy("1", per="example", rule="cutmix")]


@pytest.mark.parametrize("policy", BOTH)
def test_drawn_boxes_lie_in_the_unit_square_with_area_lam(policy: Any) -> None:
    plans = [policy.draw(32, step) for step in range(20)]
    box, lam = torch.cat([p.box for p in plans]), torch.cat([p.lam for p in plans])
    y, x, h, w = box.unbind(1)
    for start, length in ((y, h), (x, w)):
        assert (start >= 0).all()
        assert (start + length <= 1 + 1e-6).all()
    torch.testing.assert_close(h * w, lam, rtol=0, atol=1e-6)
    assert torch.equal(h, w)
    for size in ((8, 8), (5, 9), (1, 1), (6,)):
        mask = box_mask(box, torch.Size(size))
        torch.testing.assert_close(mask.flatten(1).mean(1), lam, rtol=0, atol=2e-6)
    inside = torch.cat([(y / (1 - h)), (x / (1 - w))])
    assert abs(inside.mean().item() - 0.5) < 0.03, "anywhere, not at one corner"
    assert abs(torch.corrcoef(torch.stack([y / (1 - h), x / (1 - w)]))[0, 1].item()) < 0.15


def test_intervals_lie_anywhere_on_one_axis() -> None:
    plans = [RealFakePolicy("1", alpha=1.0, rule="cutmix").draw(32, step) for step in range(20)]
    mask = box_mask(torch.cat([p.box for p in plans]), torch.Size([64]))  # type: ignore[misc]
    lam = torch.cat([p.lam for p in plans])
    middle = (mask * ((torch.arange(64) + 0.5) / 64)).sum(1) / mask.sum(1)
    place = ((middle - lam / 2) / (1 - lam))[lam < 0.9]
    assert abs(place.mean().item() - 0.5) < 0.04
    assert abs(place.std().item() - math.sqrt(1 / 12)) < 0.04
    for row in mask:
        assert len((row > 0).long().diff().nonzero()) <= 2, "one interval"


@pytest.mark.parametrize("shape", [(4, 3, 6, 6), (4, 2, 9)])
def test_lam_one_is_left_and_zero_is_right(shape: tuple[int, ...]) -> None:
    x, box = torch.randn(shape, dtype=torch.float64), boxes_of([1.0, 0.0], [0.3, 0.6])
    plan = plan_of("cutmix", [1.0, 0.0], box=box)
    torch.testing.assert_close(plan.mix(x), torch.stack([x[0], x[2]]), rtol=0, atol=1e-12)


def test_boxes_are_exchanged_pixel_by_pixel() -> None:
    torch.manual_seed(0)
    x, plan = torch.randn(8, 3, 5, 7, dtype=torch.float64), RealFakePolicy("1", rule="cutmix").draw(4, step=3)
    assert plan.box is not None
    got, area = plan.mix(x), 0.0
    for m, box in enumerate(plan.box.double().tolist()):
        mask = mask_by_hand(box, 5, 7)
        area += sum(map(sum, mask))
        for i in range(5):
            for j in range(7):
                wanted = mask[i][j] * x[plan.left[m], :, i, j] + (1 - mask[i][j]) * x[plan.right[m], :, i, j]
                torch.testing.assert_close(got[m, :, i, j], wanted, rtol=0, atol=1e-5)
    assert area == pytest.approx(35 * plan.lam.sum().item(), rel=1e-5)


def test_each_position_of_a_map_has_a_label_of_its_own() -> None:
    plan, labels = RealFakePolicy("1", alpha=1.0, rule="cutmix").draw(6, step=1), real_fake_labels(6)
    assert plan.box is not None
    got = plan.mix_labels(labels, torch.empty(6, 1, 4, 3))
    assert got.shape == (6, 1, 4, 3)
    for m, box in enumerate(plan.box.double().tolist()):
        mask = torch.tensor(mask_by_hand(box, 4, 3))
        wanted = mask * labels[plan.left[m]] + (1 - mask) * labels[plan.right[m]]
        torch.testing.assert_close(got[m, 0], wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(got.mean((1, 2, 3)), plan.mix_labels(labels), rtol=0, atol=1e-5)
    assert plan.mix_labels(labels, torch.empty(6, 1)).shape == (6, 1)
    assert plan.mix_labels(labels, torch.empty(6, 1, 5)).shape == (6, 1, 5)
    torch.testing.assert_close(plan.mix_labels(torch.eye(12)).sum(1), torch.ones(6))


def test_consistency_asks_for_the_share_of_each_position() -> None:
    plan, outputs = RealFakePolicy("1", alpha=1.0, rule="cutmix").draw(4, step=1), torch.randn(8, 2, 3, 3)
    assert torch.equal(plan.mix_outputs(outputs), plan.mix(outputs))
    flat = outputs[:, :, 0, 0]
    lam = plan.lam[:, None]
    torch.testing.assert_close(plan.mix_outputs(flat), lam * flat[plan.left] + (1 - lam) * flat[plan.right])


def by_hand_statistics(x1: Tensor, x2: Tensor, lam: float) -> Tensor:
    """One row (c, ...): the left row's content under mixed means and deviations."""
    channels = []
    for a, b in zip(x1, x2, strict=True):
        m1, m2 = a.sum() / a.numel(), b.sum() / b.numel()
        s1, s2 = (((v - m).square().sum() / v.numel() + 1e-5) ** 0.5 for v, m in ((a, m1), (b, m2)))
        channels.append((lam * s1 + (1 - lam) * s2) * (a - m1) / s1 + lam * m1 + (1 - lam) * m2)
    return torch.stack(channels)


@pytest.mark.parametrize("positions", [(5,), (4, 3), (2, 3, 2)])
def test_statistics_are_mixed_and_the_content_is_the_left_rows(positions: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    lam = [0.3, 1.0, 0.0, 0.8]
    x = torch.randn(4, 3, *positions, dtype=torch.float64)
    x = x * torch.tensor([1.0, 4, 0.5, 2]).view(4, 1, *[1] * len(positions))
    plan = plan_of("statistics", lam)
    got = plan.mix(x)
    wanted = [by_hand_statistics(x[i], x[j], k) for i, j, k in zip(plan.left, plan.right, lam, strict=True)]
    torch.testing.assert_close(got, torch.stack(wanted), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(got[1], x[1], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(got[2].flatten(1).mean(1), x[3].flatten(1).mean(1))  # at lam 0 right's
    one, other = got.flatten(2), x[plan.left].flatten(2)
    for a, b in zip(one.flatten(0, 1), other.flatten(0, 1), strict=True):
        assert torch.corrcoef(torch.stack([a, b]))[0, 1].item() == pytest.approx(1)


def test_labels_under_statistics_are_the_left_rows() -> None:
    plan, labels = RealFakePolicy("1", rule="statistics").draw(4, step=2), real_fake_labels(4)
    assert torch.equal(plan.mix_labels(labels), labels[plan.left])
    assert torch.equal(plan.mix_labels(labels, torch.empty(4, 1, 2, 2)), labels[plan.left].view(4, 1, 1, 1))
    outputs = torch.randn(8, 1, 3, 3)
    assert torch.equal(plan.mix_outputs(outputs), outputs[plan.left])


@pytest.mark.parametrize("rule", ["statistics", "cutmix"])
@pytest.mark.parametrize("shape", [(4, 2, 3, 2), (4, 2, 5)])
def test_gradients(rule: Rule, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    lam = [0.37, 0.61, 0.12, 0.83]
    box = boxes_of(lam, [0.2, 0.5, 0.7, 0.9]) if rule == "cutmix" else None
    plan = plan_of(rule, lam, box=box)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(plan.mix, x)
    assert torch.autograd.gradcheck(plan.replace, x)
    if rule == "statistics":
        weights = plan.lam.clone().requires_grad_()
        mix = lambda lam: MixPlan("pixel", plan.left, plan.right, lam, plan.parts, rule).mix(x.detach())  # noqa: E731
        assert torch.autograd.gradcheck(mix, weights)


def test_statistics_of_a_constant_channel_have_a_finite_gradient() -> None:
    x = torch.zeros(4, 2, 3, 3, requires_grad=True)
    plan_of("statistics", [0.5, 0.2]).mix(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("rule", ["statistics", "cutmix"])
def test_values_without_positions_are_refused(rule: Rule) -> None:
    plan = RealFakePolicy("0", rule=rule).draw(2)
    wanted = rf"rule '{rule}' needs values \(rows, channels, positions\.\.\.\), not \(4, 3\)"
    with pytest.raises(ValueError, match=wanted):
        plan.mix(torch.randn(4, 3))
    with pytest.raises(ValueError, match=wanted):
        Mixed(nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 1)), "0")(torch.randn(4, 5), plan=plan, mode="append")
    with pytest.raises(ValueError, match="needs values"):
        plan.mix(torch.randn(3, 4, 5, 5), dim=1)


def test_boxes_are_refused_on_volumes() -> None:
    """A box has two axes: on three it would be laid over the wrong ones."""
    plan = RealFakePolicy("1", rule="cutmix").draw(2)
    with pytest.raises(ValueError, match="one or two axes of positions"):
        plan.mix(torch.randn(4, 2, 3, 3, 3))
    with pytest.raises(ValueError, match="one or two axes of positions"):
        plan.mix_labels(real_fake_labels(2), torch.empty(2, 1, 3, 3, 3))


@pytest.mark.parametrize("rule", ["statistics", "cutmix"])
def test_memory_formats_are_kept(rule: Rule) -> None:
    plan = RealFakePolicy("1", rule=rule).draw(3)
    x = torch.randn(6, 4, 5, 5)
    got = plan.mix(x.to(memory_format=torch.channels_last))
    assert got.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(got, plan.mix(x))
    assert plan.mix(x).is_contiguous()
    if rule == "statistics":
        volume = torch.randn(6, 4, 3, 5, 5)
        got = plan.mix(volume.to(memory_format=torch.channels_last_3d))
        assert got.is_contiguous(memory_format=torch.channels_last_3d)
        torch.testing.assert_close(got, plan.mix(volume))


@pytest.mark.parametrize("rule", ["statistics", "cutmix", "linear"])
def test_reduced_precision_is_rounded_once(rule: Rule) -> None:
    torch.manual_seed(0)
    plan, x = RealFakePolicy("1", alpha=1.0, rule=rule).draw(3), (3 + torch.randn(6, 4, 5, 5)).bfloat16()
    got = plan.mix(x)
    assert got.dtype == torch.bfloat16
    exact = plan.mix(x.double())
    torch.testing.assert_close(got.double(), exact, rtol=1.02 * torch.finfo(torch.bfloat16).eps / 2, atol=1e-5)


@pytest.mark.parametrize("rule", ["statistics", "cutmix"])
@pytest.mark.parametrize("labels", [torch.zeros(5), torch.zeros(8, dtype=torch.int64)])
def test_labels_of_other_batches_or_kinds_are_refused(rule: Rule, labels: Tensor) -> None:
    plan = RealFakePolicy("1", rule=rule).draw(4)
    with pytest.raises((ValueError, TypeError), match=r"the plan is for 8 rows|cannot be interpolated"):
        plan.mix_labels(labels, torch.empty(4, 1, 2, 2))
