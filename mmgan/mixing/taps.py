"""The hooks behind `Mixed`: what happens at a tapped layer during one forward."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmgan.errors import UserError
from mmgan.mixing.plan import PIXEL, MixPlan

Action = Callable[[Tensor], Tensor]


class Call:
    """What the taps have to do in the forward that is under way; idle between forwards."""

    def __init__(self) -> None:
        self.actions: Mapping[str, Action] = {}
        self.done: list[str] = []
        self.rows = 0

    def run(self, model: nn.Module, x: Tensor, actions: Mapping[str, Action]) -> Any:
        """model(x), with each action applied to the output of the layer it is named for, exactly once.

        Raises:
            UserError: if a layer does not run, runs twice, or does not yield the batch first.
        """
        self.actions, self.rows = actions, x.shape[0]
        try:
            y = model(self.apply(PIXEL, x) if PIXEL in actions else x)
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
        """The output of layer `name` after its action: a tensor, or a tuple whose first item was acted on."""
        if name in self.done:
            raise UserError(f"layer '{name}' runs more than once in a forward: choose one that runs once")
        self.done.append(name)
        h = output[0] if isinstance(output, tuple) and output else output
        if not isinstance(h, Tensor) or h.dim() == 0 or h.shape[0] != self.rows:
            got = f"a tensor of shape {tuple(h.shape)}" if isinstance(h, Tensor) else type(h).__name__
            raise UserError(f"layer '{name}' yields {got}, not a tensor with the batch of {self.rows} rows first")
        h = self.actions[name](h)
        return (h, *output[1:]) if isinstance(output, tuple) else h


class Tap:
    """A forward hook: an object rather than a closure, so that a deep copy of the network gets taps of its own."""

    def __init__(self, call: Call, name: str) -> None:
        self.call = call
        self.name = name

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        if self.name not in self.call.actions:
            return None
        return self.call.apply(self.name, output)


def training_batch_norms(model: nn.Module) -> Iterator[tuple[str, _BatchNorm]]:
    """The modules, with their names, that normalise a row by the other rows of its batch."""
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and (module.training or not module.track_running_stats):
            yield name, module


def separate_passes(model: nn.Module, call: Call, x: Tensor, name: str, plan: MixPlan, detach: bool) -> Tensor:
    """The halves of x alone, then the mixed rows alone: (N, ...) -> (N + M, ...) logits.

    For networks whose rows see each other. The third pass needs some M rows to reach the layer; what it computes before
    the layer is dropped, and running statistics there are not updated by it.

    Raises:
        UserError: if N is odd, or for what `Call.run` refuses.
    """
    if len(x) % 2:
        raise UserError(f"passes='separate' takes as many real rows as fake ones stacked, not {len(x)} rows in all")
    halves: list[Tensor] = []

    def keep(h: Tensor) -> Tensor:
        halves.append(h.clone())  # the next layer may work in place, as ReLU(inplace=True) does
        return h

    outputs = [call.run(model, half, {name: keep}) for half in x.chunk(2)]
    hidden = torch.cat(halves)  # (N, ...)
    mixed = plan.mix(hidden.detach() if detach else hidden)  # (M, ...)
    if name == PIXEL:
        return torch.cat([*outputs, model(mixed)])
    norms = [module for _, module in training_batch_norms(model) if module.track_running_stats]

    def track(on: bool) -> None:
        for module in norms:  # not by restoring buffers: the backward of the first passes holds them
            module.track_running_stats = on

    def insert(h: Tensor) -> Tensor:
        track(True)
        return mixed

    rows = x.detach().index_select(0, plan.left)  # (M, ...)
    track(False)
    try:
        return torch.cat([*outputs, call.run(model, rows, {name: insert})])  # (N + M, ...)
    finally:
        track(True)
