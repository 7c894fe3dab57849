"""Multiply-adds of a call, counted operator by operator, backward included."""

from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class _Counter(TorchDispatchMode):
    """`FlopCounterMode` follows modules too, which a backward inside a step does not allow."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        packet = func._overloadpacket
        if packet not in flop_registry:  # in inference mode an operator may still be one of several parts
            with self:
                parts = func.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
        out = func(*args, **(kwargs or {}))
        if packet in flop_registry:
            self.count += int(flop_registry[packet](*args, **(kwargs or {}), out_val=out)) // 2
        return out


def multiply_adds(call: Callable[[], object], warmup: int = 1) -> int:
    """Count those of a call after `warmup` calls: in the first one `Mixed` looks at the network."""
    for _ in range(warmup):
        call()
    with _Counter() as counter:
        call()
    return counter.count


def times(ratio: float) -> str:
    """A ratio of multiply-adds as the table shows it."""
    return f"{ratio:#.3g} x"
