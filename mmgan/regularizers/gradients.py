"""Gradients of a discriminator at its inputs, which penalties square and differentiate again."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mmgan.outputs import per_row, wide


def squared_gradients(*pairs: tuple[Any, Tensor]) -> list[Float[Tensor, " n"]]:
    """||grad_x D(x)||^2 of every row, differentiable in the discriminator's parameters.

    D(x) is one number a row: the mean over a map and the sum over heads, as in the losses. Of a Wasserstein loss this
    is the gradient itself, and a penalty keeps its scale if the map grows. The sum of squares runs over all elements of
    a row of x. Where rows see each other (BatchNorm in training), the gradient is that of all rows' sum.

    Autocast is switched off here, and squares and sums are float32. What the forward computed in reduced precision
    stays so: gradients then have its rounding errors.

    Args:
        pairs: (logits, inputs) of n rows each, from one or more forwards. The inputs required gradients before.

    Returns:
        (n,) for each pair, from a single backward pass over all.

    Raises:
        ValueError: if the logits do not depend on the inputs through recorded operations.
    """
    if not pairs:
        return []
    hint = "call inputs.requires_grad_() before the discriminator's forward, outside torch.no_grad()"
    if not all(inputs.requires_grad for _, inputs in pairs):
        raise ValueError(f"the gradient at inputs that do not require gradients is unknown: {hint}")
    with torch.autocast(pairs[0][1].device.type, enabled=False):
        total = torch.stack([per_row(logits, len(inputs)).sum() for logits, inputs in pairs]).sum()
        if not total.requires_grad:
            raise ValueError(f"the logits have no graph: {hint}")
        found = torch.autograd.grad(total, [inputs for _, inputs in pairs], create_graph=True, allow_unused=True)
        gradients = [gradient for gradient in found if gradient is not None]
        if len(gradients) < len(found):
            raise ValueError(f"the logits do not depend on the inputs: {hint}, and give it those very tensors")
        return [wide(gradient).flatten(1).square().sum(1) for gradient in gradients]  # (n,) each
