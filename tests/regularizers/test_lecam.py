"""LeCam against the recursion written by hand."""

import copy
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from mmgan.regularizers import LeCam, Step
from mmgan.training.guard import RunningStatistics

IMAGES = torch.zeros(4, 1, 2, 2)


def a_step(real: Any, fake: Any, last: bool = True) -> Step:
    return Step(IMAGES, IMAGES, real, fake, lambda x: x, 0, last=last)


def logits(t: int) -> tuple[list[float], list[float]]:
    return [0.5 * t + 1, 2.0, -t, 0.25], [-1.0, t * 0.125, -2.5 * t, 3.0]


def by_hand(steps: int, decay: float) -> tuple[list[float], float, float]:
    """Values of the steps, and both averages after them, in Python's own numbers."""
    values, real_average, fake_average = [], 0.0, 0.0
    for t in range(steps):
        real, fake = logits(t)
        real_mean, fake_mean = sum(real) / 4, sum(fake) / 4
        if t == 0:
            values.append(0.0)
            real_average, fake_average = real_mean, fake_mean
            continue
        at_real = sum((d - fake_average) ** 2 for d in real) / 4
        at_fake = sum((d - real_average) ** 2 for d in fake) / 4
        values.append(at_real + at_fake)
        real_average = decay * real_average + (1 - decay) * real_mean
        fake_average = decay * fake_average + (1 - decay) * fake_mean
    return values, real_average, fake_average


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
@pytest.mark.parametrize("decay", [0.9, 0.99])
def test_the_recursion(decay: float, shape: tuple[int, ...]) -> None:
    lecam = LeCam(0.3, decay)
    got = [lecam(a_step(*(torch.tensor(side).view(shape) for side in logits(t)))).item() for t in range(6)]
    values, real_average, fake_average = by_hand(6, decay)
    assert got == pytest.approx([0.3 * value for value in values], rel=1e-5)
    assert lecam.averages.flatten().tolist() == pytest.approx([real_average, fake_average], rel=1e-5)


def test_the_gradient_pulls_each_side_to_the_others_average() -> None:
    lecam = LeCam(1.0)
    lecam(a_step(torch.full((4,), 3.0), torch.full((4,), -1.0)))
    real, fake = torch.tensor([1.0, 2, 3, 4], requires_grad=True), torch.tensor([0.0, 1, 2, 3], requires_grad=True)
    lecam(a_step(real, fake)).backward()
    torch.testing.assert_close(real.grad, 2 * (real.detach() + 1) / 4)
    torch.testing.assert_close(fake.grad, 2 * (fake.detach() - 3) / 4)
    assert not lecam.averages.requires_grad


def test_heads_have_averages_of_their_own_and_maps_count_by_their_mean() -> None:
    def sides(t: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        g = torch.Generator().manual_seed(t)
        return tuple(  # type: ignore[return-value]
            {"a": torch.randn(4, 1, 2, 3, generator=g), "b": torch.randn(4, generator=g)} for _ in range(2)
        )

    both, map_alone, flat_alone = LeCam(1.0, outputs=2), LeCam(1.0), LeCam(1.0)
    for t in range(4):
        real, fake = sides(t)
        wanted = map_alone(a_step(real["a"].mean((2, 3)), fake["a"].mean((2, 3))))
        spread = sum(((x["a"] - x["a"].mean((1, 2, 3), keepdim=True)) ** 2).mean() for x in (real, fake)) if t else 0
        wanted = wanted + spread + flat_alone(a_step(real["b"], fake["b"]))
        torch.testing.assert_close(both(a_step(real, fake)), wanted)
    torch.testing.assert_close(both.averages, torch.cat([map_alone.averages, flat_alone.averages], 1))
    with pytest.raises(ValueError, match=r"built for 2 heads.*outputs=1"):
        both(a_step(real["b"], fake["b"]))


def test_slices_of_a_step_are_one_step() -> None:
    whole, sliced = LeCam(1.0, 0.9), LeCam(1.0, 0.9)
    for t in range(4):
        real, fake = (torch.tensor(side) for side in logits(t))
        value = whole(a_step(real, fake))
        parts = [sliced(a_step(real[:2], fake[:2], last=False)), sliced(a_step(real[2:], fake[2:]))]
        torch.testing.assert_close(sum(parts) / 2, value)
        torch.testing.assert_close(sliced.averages, whole.averages)


def test_state_is_saved_and_a_skipped_step_restores_it() -> None:
    lecam = LeCam(1.0)
    for t in range(3):
        lecam(a_step(*(torch.tensor(side) for side in logits(t))))
    kept = copy.deepcopy(lecam.state_dict())
    statistics = RunningStatistics([lecam])
    statistics.keep()
    lecam(a_step(torch.full((4,), torch.nan), torch.zeros(4)))
    assert lecam.averages.isnan().any()
    statistics.restore(torch.tensor(True))
    torch.testing.assert_close(dict(lecam.state_dict()), dict(kept), rtol=0, atol=0)

    resumed = LeCam(1.0)
    resumed.load_state_dict(kept)
    step = a_step(*(torch.tensor(side) for side in logits(3)))
    assert torch.equal(resumed(step), lecam(step))
    assert torch.equal(resumed.averages, lecam.averages)


def test_averages_are_those_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process, which has half of each batch, is played here."""
    whole, half = LeCam(1.0, 0.9), LeCam(1.0, 0.9)
    theirs = torch.zeros(2, 1)
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_reduce", lambda values: values.add_(theirs))
    for t in range(4):
        real, fake = (torch.tensor(side) for side in logits(t))
        theirs = torch.stack([real[2:].mean(), fake[2:].mean()])[:, None]
        half(a_step(real[:2], fake[:2]))
        with monkeypatch.context() as alone:
            alone.setattr(dist, "is_initialized", lambda: False)
            whole(a_step(real, fake))
        torch.testing.assert_close(half.averages, whole.averages)


def test_bf16_logits_are_averaged_in_float32() -> None:
    lecam = LeCam(1.0)
    for t in range(3):
        value = lecam(a_step(*(torch.tensor(side).bfloat16() for side in logits(t))))
    values, real_average, _ = by_hand(3, 0.99)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(values[-1], rel=1e-6)  # these logits are exact in bf16
    assert lecam.averages[0].item() == pytest.approx(real_average, rel=1e-6)


def test_settings_out_of_range_are_refused() -> None:
    for bad in ({"weight": 0.0}, {"weight": -1.0}, {"weight": float("nan")}):
        with pytest.raises(ValueError, match="the weight of lecam"):
            LeCam(**bad)
    with pytest.raises(ValueError, match="decay"):
        LeCam(1.0, decay=1.0)
    with pytest.raises(ValueError, match="heads"):
        LeCam(1.0, outputs=0)
