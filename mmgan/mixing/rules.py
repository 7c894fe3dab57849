"""How two rows are interpolated: the paper's line, exchanged boxes (CutMix), or channel statistics (FSMR)."""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Rule = Literal["linear", "statistics", "cutmix"]

EPSILON = 1e-5
"""Added to a channel's variance, as in torch's InstanceNorm."""


def rows_of(values: Tensor, index: Int64[Tensor, " m"], dim: int = 0) -> Tensor:
    """Rows `index` of the values, in their memory format: index_select alone turns channels_last into contiguous."""
    if dim == 0 and not values.is_contiguous():
        for rank, layout in ((4, torch.channels_last), (5, torch.channels_last_3d)):
            if values.dim() == rank and values.is_contiguous(memory_format=layout):
                return values.movedim(1, -1).index_select(0, index).movedim(-1, 1)
    return values.index_select(dim, index)


def interpolate(x1: Tensor, x2: Tensor, lam: Tensor) -> Tensor:
    """lam * x1 + (1 - lam) * x2, lam broadcast; equal values come out as they are, to the bit.

    Reduced precision is interpolated in float32, so that lam is not rounded to eight bits while the labels keep all
    of it.
    """
    if x1.dtype.itemsize < 4:
        return torch.lerp(x2.float(), x1.float(), lam.float()).to(x1.dtype)
    return torch.lerp(x2, x1, lam.to(x1.dtype))


def exchange_box(x1: Tensor, x2: Tensor, box: Float[Tensor, "m 4"]) -> Tensor:
    """CutMix (Yun et al. 2019, arXiv 1905.04899): x1 inside the box and x2 outside of it, (M, c, ...) -> (M, c, ...).

    A position that the border of the box cuts holds both, by the share of it that the box covers. So the mean of the
    mask is the box's area at every resolution: lam.

    Args:
        x1, x2: (M, c, h, w), or (M, c, t), where the box is an interval.
        box: as `box_mask` takes it.
    """
    return interpolate(x1, x2, box_mask(box, x1.shape[2:]).unsqueeze(1))


def box_mask(box: Float[Tensor, "m 4"], size: torch.Size) -> Float[Tensor, "m ..."]:
    """The share of each position that lies in the box: (M, *size), its mean is lam.

    Args:
        box: (M, 4): lower corner (y, x) and lengths (h, w), as shares of the side. On one axis the interval starts at y
            and has the length h * w.
        size: (h, w), or (t,).

    Raises:
        ValueError: for another number of axes, which a box does not have.
    """
    if len(size) not in (1, 2):
        raise ValueError(
            f"rule 'cutmix' needs one or two axes of positions, not {len(size)}: choose another layer, or rule 'linear'"
        )
    y, x, h, w = box.unbind(1)
    if len(size) == 1:
        return _covered(y * (1 - h * w) / (1 - h).clamp(min=EPSILON), h * w, size[0])  # (M, t)
    return _covered(y, h, size[0])[:, :, None] * _covered(x, w, size[1])[:, None, :]  # (M, h, w)


def _covered(start: Float[Tensor, " m"], length: Float[Tensor, " m"], count: int) -> Float[Tensor, "m n"]:
    """The share of each of `count` equal parts of [0, 1] that lies in [start, start + length]."""
    low = torch.arange(count, device=start.device, dtype=start.dtype) / count  # (n,)
    end = (start + length)[:, None]
    overlap = torch.minimum(end, low + 1 / count) - torch.maximum(start[:, None], low)  # (M, n)
    return (overlap * count).clamp(0, 1)


def mix_statistics(x1: Tensor, x2: Tensor, lam: Tensor) -> Tensor:
    """Feature statistics mixing (Kim et al. 2022, FSMR, arXiv 2112.04120): x1 with mixed channel statistics.

    x1 is normalised by its own mean and deviation over positions, a channel and row at a time, and gets
    lam * statistics(x1) + (1 - lam) * statistics(x2).

    Args:
        x1, x2: (M, c, ...) with one position or more.
        lam: (M,).
    """
    positions = tuple(range(2, x1.dim()))
    a, b = (x.float() if x.dtype.itemsize < 4 else x for x in (x1, x2))
    mean1, mean2 = (x.mean(positions, keepdim=True) for x in (a, b))  # (M, c, 1, ...)
    std1, std2 = ((x.var(positions, keepdim=True, correction=0) + EPSILON).sqrt() for x in (a, b))  # (M, c, 1, ...)
    lam = column(lam, x1.dim())
    mixed = (a - mean1) / std1 * interpolate(std1, std2, lam) + interpolate(mean1, mean2, lam)  # (M, c, ...)
    return mixed.to(x1.dtype)


def column(lam: Tensor, dims: int, dim: int = 0) -> Tensor:
    """(M,) -> (M, 1, ...) of `dims` dimensions, M at `dim`."""
    shape = [1] * dims
    shape[dim] = -1
    return lam.view(shape)
