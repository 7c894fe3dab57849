"""Which rows of a result change when rows of an input do: by values to the bit, and by gradients that are not zero."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool
from torch import Tensor

Split = Bool[Tensor, " rows"]
"""Rows that are changed (True) while the others stay."""

MOST = 4
"""Splits that are tried at most, each with its complement."""


def splits_of(count: int) -> Iterator[Split]:
    """Ways to part `count` rows in two, with their complements.

    Few rows: every bit of the row's number, so that each two rows are parted by one split or more. Many rows: the
    lowest bit, the highest and two random ones, which part the members of every group of neighbours or of equal
    distance.
    """
    rows = torch.arange(count)
    bits = max(1, (count - 1).bit_length())
    if bits <= MOST:
        splits = [(rows >> bit) % 2 == 1 for bit in range(bits)]
    else:
        generator = torch.Generator().manual_seed(0)
        chance = [torch.rand(count, generator=generator) < 0.5 for _ in range(MOST - 2)]
        splits = [rows % 2 == 1, rows >= count // 2, *chance]
    for split in splits:
        yield split
        yield ~split


def perturbed(values: Tensor, split: Split | None, dim: int) -> Tensor:
    """The values with other ones in the rows of the split, or in all rows.

    Floating point moves by about its own deviation. Integers and booleans take the next row's values, so that they stay
    values that the network knows; where all are equal they move by one.
    """
    if values.is_floating_point():
        noise = torch.empty(values.shape).normal_(generator=torch.Generator().manual_seed(1)).to(values)
        spread = values.detach().float().std(correction=0).to(values) if values.numel() > 1 else 1.0
        other = values.detach() + noise * (spread + 0.1)
    elif bool((values == values.flatten()[0]).all()):
        other = ~values if values.dtype == torch.bool else torch.where(values > 0, values - 1, values + 1)
    else:
        other = values.roll(1, dim)
        same = (other == values).transpose(0, dim).flatten(1).all(1) if values.dim() > 1 else other == values
        if bool(same.any()):  # the next row may be equal: its mirror image along the batch is another try
            other = torch.where(_column(same, values.dim(), dim), values.flip(dim), other)
    if split is None:
        return other
    return torch.where(_column(split.to(values.device), values.dim(), dim), other, values)


def changed_rows(before: Tensor, after: Tensor, dim: int) -> Split:
    """(rows,): whether anything in a row differs; NaN equals NaN."""
    differs = ~((before == after) | (before.isnan() & after.isnan()))
    return differs.transpose(0, dim).flatten(1).any(1).cpu() if differs.dim() > 1 else differs.cpu()


def different(before: Tensor, after: Tensor) -> bool:
    """Whether anything differs, the shape included; NaN equals NaN."""
    return before.shape != after.shape or not bool(((before == after) | (before.isnan() & after.isnan())).all())


def gradients(result: Tensor, inputs: list[Tensor], rows: Split | None = None, dim: int = 0) -> list[Tensor | None]:
    """Gradients of a random sum over the result, or over its `rows`, for each input; None without a path.

    The graph is kept. Segments of reentrant checkpointing have no gradients of this kind; values have to do there.
    """
    if not result.requires_grad or not result.is_floating_point() or not inputs:
        return [None] * len(inputs)
    weights = torch.rand(result.shape, generator=torch.Generator().manual_seed(2)).to(result) + 0.5
    if rows is not None:
        weights = torch.where(_column(rows.to(result.device), result.dim(), dim), weights, torch.zeros_like(weights))
    try:
        # Of a scalar: with grad_outputs torch would first import SymPy, which takes a second.
        return list(torch.autograd.grad((result * weights).sum(), inputs, retain_graph=True, allow_unused=True))
    except RuntimeError as error:
        if "use_reentrant" not in str(error):
            raise
        return [None] * len(inputs)


def is_zero(gradient: Tensor | None) -> bool:
    return gradient is None or not bool((gradient != 0).any())


def _column(flags: Tensor, dims: int, dim: int) -> Tensor:
    return flags.view([-1 if d == dim else 1 for d in range(dims)])
