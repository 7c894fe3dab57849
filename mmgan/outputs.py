"""Outputs of discriminators: a tensor (n,), (n, 1), a map (n, 1, h, w), or a tuple, list, dict or dataclass of them.

Each tensor of the output is a *head*. Losses and penalties take the mean over the elements of a head's row, so that a
large map does not outweigh a scalar, and the sum over heads.
"""

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor

from mmgan.errors import UserError
from mmgan.nests import leaves


def heads(output: Any) -> list[Tensor]:
    """The tensors of an output, depth first, in the order of its containers.

    Raises:
        TypeError: for a tensor that is not floating point.
    """
    found = [leaf for _, leaf in leaves(output)]
    for leaf in found:
        if not leaf.is_floating_point():
            raise TypeError(f"logits are floating-point tensors, not {leaf.dtype}: pick them from the output")
    return found


def costs(cost: Callable[[Tensor], Tensor], output: Any) -> Float[Tensor, " rows"]:
    """What each row costs: the mean of `cost` over the elements of each head, summed over heads.

    Args:
        cost: of each logit, in float32 or wider.
        output: logits of n rows, a tensor or a nest of tensors.

    Raises:
        UserError: for a head that holds features rather than logits: a map of several channels.
        ValueError: if heads differ in their number of rows, as 1 row would broadcast.
    """
    found = heads(output)
    for head in found:
        if head.dim() > 2 and head.shape[1] != 1 and head.shape[-1] != 1:
            raise UserError(
                f"a head of shape {tuple(head.shape)} is no map of logits, which has one channel (n, 1, ...): it seems"
                " to hold features; take the logits out of the output with Mixed(..., pick=...)"
            )
    rows = len(found[0]) if found and found[0].dim() else 0
    return sum_heads([_mean_elements(cost(wide(head)), rows) for head in found])


def per_row(output: Any, rows: int) -> Float[Tensor, " rows"]:
    """One number a row: the mean over the elements of each head, summed over heads; float32, or float64 where that is.

    Args:
        output: logits of a batch, a tensor or a nest of tensors.
        rows: size of the batch.

    Raises:
        ValueError: if there is no head, or a head has another number of rows.
    """
    return sum_heads([_mean_elements(wide(head), rows) for head in heads(output)])


def per_row_of_pairs(
    cost: Callable[[Tensor], Tensor], first: Any, second: Any, rows: int | None = None
) -> Float[Tensor, " rows"]:
    """cost(first - second), element by element; the mean over the elements of each head, summed over heads.

    Args:
        cost: maps differences, element by element.
        first, second: two outputs with the same heads.
        rows: size of the batch; by default that of the first head.

    Raises:
        ValueError: if the heads differ in number or shape, as (n, 1) and (n,) would broadcast to (n, n).
    """
    ours, theirs = heads(first), heads(second)
    shapes, other = [tuple(h.shape) for h in ours], [tuple(h.shape) for h in theirs]
    if shapes != other:
        raise ValueError(f"two outputs of one discriminator have heads of the same shapes, not {shapes} and {other}")
    differences = [wide(a) - wide(b) for a, b in zip(ours, theirs, strict=True)]
    return sum_heads([_mean_elements(cost(d), len(d) if rows is None else rows) for d in differences])


def wide(values: Tensor) -> Tensor:
    """The values in float32, or in float64 where they are."""
    return values.float() if values.dtype.itemsize < 4 else values


def sum_heads(values: list[Tensor]) -> Tensor:
    """The sum over heads.

    Raises:
        ValueError: if there is no head.
    """
    if not values:
        raise ValueError("the output holds no logits")
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def _mean_elements(head: Tensor, rows: int) -> Tensor:
    if head.dim() == 0 or len(head) != rows:
        raise ValueError(f"logits of {rows} rows have {rows} rows, not shape {tuple(head.shape)}")
    return head.reshape(rows, -1).mean(1)  # (rows,)
