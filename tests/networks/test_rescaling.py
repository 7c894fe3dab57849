"""Convolutions fused with a change of size, against the two steps they stand for."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmgan.draws import torch_stream
from mmgan.networks import rescaling
from mmgan.networks.rescaling import DoublingConv, HalvingConv


def halve_after(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return F.avg_pool2d(F.conv2d(x, conv.weight, conv.bias, padding=conv.padding), 2)


def double_before(conv: nn.Conv2d, x: Tensor) -> Tensor:
    doubled = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return F.conv2d(doubled, conv.weight, conv.bias, padding=conv.padding)


CASES = [(HalvingConv, halve_after), (DoublingConv, double_before)]


@pytest.fixture(params=[True, False], ids=["pixels", "kernel"])
def of_pixels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether means and sums are taken of pixels, as on a CPU, or of the kernel, as elsewhere."""
    monkeypatch.setattr(rescaling, "multiply_adds_bound", lambda x: request.param)
    return bool(request.param)


def case(kind: type[nn.Conv2d], kernel_size: int) -> tuple[nn.Conv2d, Tensor]:
    conv = kind(3, 5, kernel_size, padding=kernel_size // 2).double()
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64, generator=torch_stream(0, "rescaling"))
    return conv, x.requires_grad_()


def with_gradients(conv: nn.Conv2d, x: Tensor, y: Tensor) -> list[Tensor]:
    weights = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view(y.shape)
    return [y, *torch.autograd.grad((y * weights).sum(), [x, *conv.parameters()])]


@pytest.mark.parametrize(("kind", "by_hand"), CASES)
@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_the_two_steps(
    kind: type[nn.Conv2d],
    by_hand: Callable[[nn.Conv2d, Tensor], Tensor],
    kernel_size: int,
    layout: torch.memory_format,
    of_pixels: bool,
) -> None:
    conv, x = case(kind, kernel_size)
    conv = conv.to(memory_format=layout)
    y = conv(x.to(memory_format=layout))
    assert y.is_contiguous(memory_format=layout)
    for ours, theirs in zip(with_gradients(conv, x, y), with_gradients(conv, x, by_hand(conv, x)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kind", "by_hand"), CASES)
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_they_take_fewer_multiply_adds(
    kind: type[nn.Conv2d],
    by_hand: Callable[[nn.Conv2d, Tensor], Tensor],
    kernel_size: int,
    of_pixels: bool,
) -> None:
    conv, x = case(kind, kernel_size)
    share = 4 / 9 if kernel_size == 3 and not of_pixels else 1 / 4

    def count(forward: Callable[[Tensor], Tensor]) -> int:
        with FlopCounterMode(display=False) as counter:
            forward(x)
        return counter.get_total_flops()

    assert count(conv) == pytest.approx(share * count(lambda x: by_hand(conv, x)), rel=1e-12)


def test_pixels_are_summed_on_a_cpu_without_reduced_precision_alone() -> None:
    assert rescaling.multiply_adds_bound(torch.zeros(1))
    assert not rescaling.multiply_adds_bound(torch.zeros(1, dtype=torch.bfloat16))
    assert not rescaling.multiply_adds_bound(torch.zeros(1, device="meta"))
