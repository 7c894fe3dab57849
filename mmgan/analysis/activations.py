"""The output of a named layer."""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from mmgan.errors import UserError
from mmgan.mixing.names import find_layer
from mmgan.mixing.plan import PIXEL
from mmgan.modes import evaluation_mode


def activations(model: nn.Module, layer: str, batches: Iterable[Shaped[Tensor, "_ ..."]]) -> Float[Tensor, "m ..."]:
    """The output of one layer for all rows of all batches, joined, on the CPU, in the layer's own shape and dtype.

    The model runs in evaluation mode without gradients and is left unchanged: its mode, buffers and hooks.

    Args:
        model: the network; not a compiled one, whose graph would not see the hook.
        layer: "pixel" for the input, a key of the model's own `stages`, or the dotted name of a submodule.
        batches: inputs of the model, each with its rows first.

    Raises:
        UserError: for an unknown layer, no batches, or a layer that does not yield one tensor with the batch's rows
            exactly once in a forward.
    """
    outputs: list[Tensor] = []
    collected: list[Tensor] = []

    def keep(output: Any) -> None:
        h = output[0] if isinstance(output, tuple) and output else output
        if not isinstance(h, Tensor):
            raise UserError(f"layer '{layer}' yields {type(h).__name__}, not a tensor with the batch first")
        outputs.append(h.clone())  # before a later layer works in place on it

    name = find_layer(model, layer)
    hook = None
    if name != PIXEL:
        hook = model.get_submodule(name).register_forward_hook(lambda _m, _x, output: keep(output))
    try:
        with evaluation_mode(model), torch.no_grad():
            for batch in batches:
                outputs.clear()
                if name == PIXEL:
                    keep(batch)
                else:
                    model(batch)
                collected.append(_only(layer, outputs, rows=len(batch)).cpu())
    finally:
        if hook is not None:
            hook.remove()
    if not collected:
        raise UserError(f"no batch was given, so layer '{layer}' yielded nothing: give at least one")
    return torch.cat(collected)


def _only(layer: str, outputs: list[Tensor], rows: int) -> Tensor:
    if len(outputs) != 1:
        raise UserError(f"layer '{layer}' ran {len(outputs)} times in a forward, not once: choose one that runs once")
    (h,) = outputs
    if h.dim() == 0 or len(h) != rows:
        raise UserError(f"layer '{layer}' yields shape {tuple(h.shape)}, not the batch of {rows} rows first")
    return h
