"""The least memory that a training takes, before anything is built."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from mmgan.errors import UserError
from mmgan.memory import check_fits, memory_of

FLOAT = 4
"""Bytes of a float32."""

ORDINARY = 1024
"""Networks whose sizes are at most this are not counted before they are built: they fit everywhere."""

MAPS = 64
"""Feature maps of a row take about this many times the memory of the row itself, in a small network."""


def sizes_of(settings: Any) -> list[int]:
    """The whole numbers among the fields of a group of settings."""
    return [value for value in asdict(settings).values() if isinstance(value, int)]


@dataclass(frozen=True)
class Pass:
    """What a network sees in one training step.

    Attributes:
        rows: on this process.
        shape: of one row.
    """

    rows: int
    shape: tuple[int, ...]


def check_training(
    build: Callable[[], Sequence[nn.Module]] | None,
    passes: Sequence[Pass],
    sizes: Sequence[int],
    device: str,
    lower: str,
) -> None:
    """Refuse networks and batches that no memory holds. Networks of ordinary size with ordinary batches cost nothing.

    The estimate is a lower bound: weights, gradients, and the outputs of convolutions, linear layers and norms that
    the backward pass keeps, at half precision.

    Args:
        build: makes the networks; called on the meta device, where tensors have no memory. None: only the batches are
            counted.
        passes: what each of them sees in a step.
        sizes: the networks' widths, depths and the like.
        device: that trains.
        lower: the flags that make it smaller.

    Raises:
        UserError: naming them.
    """
    have = memory_of(device)
    batches = sum(step.rows * prod(step.shape) * FLOAT for step in passes)
    check_fits(batches, "batches of this size", lower, device)
    crowded = batches * MAPS > have
    if build is None or (max(sizes, default=0) <= ORDINARY and not crowded):
        return
    try:
        with torch.device("meta"):
            networks = build()
    except (RuntimeError, OverflowError, TypeError) as error:  # of torch, for sizes that no tensor can have
        raise UserError(f"networks of this size cannot be built: lower {lower}") from error
    need = batches + sum(2 * FLOAT * p.numel() for network in networks for p in network.parameters())
    check_fits(need, "networks of this size", lower, device)
    if crowded:
        for network, step in zip(networks, passes, strict=True):
            need += step.rows * _kept_by_a_row(network, step.shape)
        check_fits(need, "networks and batches of this size", lower, device)


def _kept_by_a_row(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Bytes that the forward pass of one row keeps for the backward pass, at half precision."""
    with _counting(network) as outputs, torch.no_grad():
        network(torch.zeros(2, *shape, device="meta"))
    return sum(outputs) * FLOAT // 2 // 2  # of two rows


@contextmanager
def _counting(network: nn.Module) -> Iterator[list[int]]:
    counts: list[int] = []

    def count(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        counts.append(output.numel())

    layers = (nn.Linear, nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm)
    handles = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, layers)]
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()
