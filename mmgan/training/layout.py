"""Gradients of a second backward in the layout that DistributedDataParallel compares them with."""

from functools import partial

from torch import Tensor, nn


def keep_gradient_layout(network: nn.Module) -> None:
    """Give gradients their weight's strides along dimensions of length 1, where strides say nothing.

    A second backward leaves others there, for a Linear of one output as well as for a convolution of one channel.
    DistributedDataParallel compares them and warns.
    """
    for weight in network.parameters():
        if 1 in weight.shape:
            weight.register_hook(partial(_with_strides_of, weight.detach()))  # type: ignore[no-untyped-call]


def _with_strides_of(weight: Tensor, gradient: Tensor) -> Tensor:
    strides = zip(weight.shape, weight.stride(), gradient.stride(), strict=True)
    same = all(length == 1 or ours == theirs for length, ours, theirs in strides)
    return gradient.as_strided(weight.shape, weight.stride()) if same else gradient
