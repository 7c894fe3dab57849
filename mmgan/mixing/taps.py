"""The hooks behind `Mixed`: what happens at a tapped module during one forward."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmgan.errors import UserError
from mmgan.mixing.plan import PIXEL, MixPlan
from mmgan.nests import leaves, map_nest

Action = Callable[[Any], Any]
"""A tapped module's output -> what flows on instead."""


class Call(threading.local):
    """What the taps have to do in the forward that is under way in this thread; idle between forwards."""

    def __init__(self) -> None:
        self.actions: Mapping[str, Action] = {}
        self.done: list[str] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return Call, ()  # a copy or a pickle of a network starts idle

    def run(
        self, model: nn.Module, inputs: Sequence[Any], named: Mapping[str, Any], actions: Mapping[str, Action]
    ) -> Any:
        """model(*inputs, **named), with each action applied to the output of its module, exactly once.

        Raises:
            UserError: if a module does not run, or runs twice.
        """
        self.actions, self.done = actions, []
        try:
            if PIXEL in actions:
                inputs, named = change_first(inputs, named, lambda x: self.apply(PIXEL, x))
            y = model(*inputs, **named)
            missed = [name for name in actions if name not in self.done]
        finally:
            self.actions, self.done = {}, []
        if missed:
            raise UserError(
                f"layer '{missed[0]}' did not run in this forward, so nothing was mixed there: choose a layer that"
                " always runs, and wrap the model in Mixed before torch.compile or DataParallel sees it"
            )
        return y

    def apply(self, name: str, output: Any) -> Any:
        """The output of module `name` after its action."""
        if name in self.done:
            raise UserError(f"layer '{name}' runs more than once in a forward: choose one that runs once")
        self.done.append(name)
        return self.actions[name](output)


class Tap:
    """A forward hook: an object rather than a closure, so that a deep copy of the network gets taps of its own."""

    def __init__(self, call: Call, name: str) -> None:
        self.call = call
        self.name = name

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        if self.name not in self.call.actions:
            return None
        return self.call.apply(self.name, output)


def change_first(
    inputs: Sequence[Any], named: Mapping[str, Any], change: Callable[[Any], Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with the network's first input changed: the first positional one, else the first by keyword."""
    if inputs:
        return (change(inputs[0]), *inputs[1:]), dict(named)
    first = next(iter(named))
    return (), {**named, first: change(named[first])}


def first_input(inputs: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """The network's first input."""
    return inputs[0] if inputs else next(iter(named.values()), None)


def mixable(leaf: Tensor, counts: Sequence[int], dim: int) -> bool:
    """Whether a tapped tensor holds rows to mix: floating point, with one of the counts at `dim`."""
    return leaf.is_floating_point() and leaf.dim() > dim and leaf.shape[dim] in counts


def rows_fault(name: str, output: Any, counts: Sequence[int], dim: int) -> str | None:
    """Why nothing of a module's output can be mixed: one line, or None."""
    tensors = [leaf for _, leaf in leaves(output)]
    if any(mixable(leaf, counts, dim) for leaf in tensors):
        return None
    integers = [leaf for leaf in tensors if leaf.dim() > dim and leaf.shape[dim] in counts]
    if integers:
        return (
            f"layer '{name}' yields {integers[0].dtype} values, which cannot be interpolated: choose a later layer, or"
            " convert images to float"
        )
    got = f"a tensor of shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
    where = "first" if dim == 0 else f"at dimension {dim}"
    hint = "; where they lie at dimension 1, use Mixed(..., batch_dim=1)" if dim == 0 else ""
    return f"layer '{name}' yields {got}, not a tensor with the batch of {counts[0]} rows {where}{hint}"


def on_rows(name: str, counts: Sequence[int], dim: int, change: Callable[[Tensor], Tensor]) -> Action:
    """The action that changes every tensor of the output that holds rows; the others flow on as they are.

    Raises (in the forward):
        UserError: if no tensor of the output has the rows.
    """

    def act(output: Any) -> Any:
        if fault := rows_fault(name, output, counts, dim):
            raise UserError(fault)
        return map_nest(lambda _, leaf: change(leaf) if mixable(leaf, counts, dim) else leaf, output)

    return act


def append_at(name: str, plan: MixPlan, dim: int, detach: bool) -> Action:
    """N rows -> N + M; of N + M rows (an extended input or an earlier module made them) the last M are overwritten."""
    n = plan.rows

    def change(h: Tensor) -> Tensor:
        plain = h if h.shape[dim] == n else h.narrow(dim, 0, n)
        return torch.cat([plain, plan.mix(plain.detach() if detach else plain, dim)], dim)  # (N + M, ...)

    return on_rows(name, (n, n + len(plan)), dim, change)


def replace_at(name: str, plan: MixPlan, dim: int, detach: bool) -> Action:
    """N rows -> N, those in plan.left replaced."""

    def change(h: Tensor) -> Tensor:
        if detach:  # only the rows of this plan: those that other plans mix elsewhere keep their gradient
            return h.index_copy(dim, plan.left, plan.mix(h.detach(), dim))  # (N, ...)
        return plan.replace(h, dim)

    return on_rows(name, (plan.rows,), dim, change)


def mix_at(name: str, plan: MixPlan, dim: int, detach: bool) -> Action:
    """The plan's rows -> M."""
    return on_rows(name, (plan.rows,), dim, lambda h: plan.mix(h.detach() if detach else h, dim))
