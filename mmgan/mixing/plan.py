"""A plan says where two rows of a batch are interpolated, which ones, and by how much."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

PIXEL = "pixel"
"""The name of layer 0: the network's input."""

NO_LAYER = "none"
"""The layer of a plan that mixes nothing: the baseline."""


@dataclass(frozen=True, eq=False)
class MixPlan:
    """Mix_lam of Section 2, for M pairs of rows at one layer.

    Attributes:
        layer: the layer's name as the network knows it ("pixel", "1", "h1", "layer2.1"), or "none".
        left: (M,) int64, rows weighted by lam.
        right: (M,) int64, rows weighted by 1 - lam.
        lam: (M,) floating point, in [0, 1]. The policies draw it; a value outside extrapolates.

    Raises:
        ValueError: if left, right and lam are not one-dimensional, of one length and on one device.
        TypeError: if the indices are not int64 or lam is not floating point.
    """

    layer: str
    left: Int64[Tensor, " m"]
    right: Int64[Tensor, " m"]
    lam: Float[Tensor, " m"]

    def __post_init__(self) -> None:
        if self.left.dtype != torch.int64 or self.right.dtype != torch.int64 or not self.lam.is_floating_point():
            got = f"{self.left.dtype}, {self.right.dtype}, {self.lam.dtype}"
            raise TypeError(f"a plan holds int64 left and right and floating-point lam, not {got}")
        if not self.left.shape == self.right.shape == self.lam.shape or self.lam.dim() != 1:
            got = f"{tuple(self.left.shape)}, {tuple(self.right.shape)}, {tuple(self.lam.shape)}"
            raise ValueError(f"left, right and lam are one-dimensional and of one length, not {got}")
        if not self.left.device == self.right.device == self.lam.device:
            raise ValueError(
                f"left, right and lam lie on one device, not {self.left.device}, {self.right.device}, {self.lam.device}"
            )

    def mix(self, values: Tensor) -> Tensor:
        """lam * values[left] + (1 - lam) * values[right], for hidden states and for labels alike (Section 2, Mix_lam).

        The four-case label function y(lam; x1, x2) of Appendix E is nothing but `plan.mix(real_fake_labels(B))`.

        Args:
            values: (N, ...) floating point, on the plan's device. Reduced precision is interpolated in float32, so that
                lam is not rounded to eight bits while the labels keep all of it.

        Returns:
            (M, ...), same dtype and device; differentiable in values, which are left as they are.

        Raises:
            TypeError: for integers and booleans, which interpolation would truncate.
            ValueError: for values without rows, or on another device than the plan.
            IndexError: if the plan names a row that the values do not have.
        """
        self._check(values)
        return _interpolate(_rows(values, self.left), _rows(values, self.right), self.lam)  # (M, ...)

    def replace(self, values: Tensor) -> Tensor:
        """The values, with rows `left` become `mix(values)`: (N, ...) -> (N, ...), a new tensor.

        What `Mixed` does to hidden states without append=True, and what soft labels need beside it. Rows not in `left`
        keep their values to the bit. `left` must not name a row twice. Arguments and errors as in `mix`.
        """
        self._check(values)
        n = len(values)
        partner = torch.arange(n, device=self.left.device).index_copy(0, self.left, self.right)  # (N,)
        weight = torch.ones(n, dtype=self.lam.dtype, device=self.lam.device).index_copy(0, self.left, self.lam)  # (N,)
        return _interpolate(values, _rows(values, partner), weight)  # (N, ...)

    def to(self, device: torch.device | str) -> "MixPlan":
        """The same plan on another device."""
        return MixPlan(self.layer, self.left.to(device), self.right.to(device), self.lam.to(device))

    def __len__(self) -> int:
        """M, the number of mixed rows."""
        return len(self.lam)

    def _check(self, values: Tensor) -> None:
        if not values.is_floating_point():
            raise TypeError(
                f"{values.dtype} values cannot be interpolated: convert images to float, class labels to one-hot rows"
            )
        if values.dim() == 0:
            raise ValueError("a scalar has no rows to mix")
        if values.device != self.lam.device:
            raise ValueError(f"the plan lies on {self.lam.device}, the values on {values.device}: draw it with device=")


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """values[index], in the values' memory format: index_select alone turns channels_last into contiguous."""
    if values.dim() == 4 and not values.is_contiguous() and values.is_contiguous(memory_format=torch.channels_last):
        return values.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)
    return values.index_select(0, index)


def _interpolate(x1: Tensor, x2: Tensor, lam: Tensor) -> Tensor:
    """lam * x1 + (1 - lam) * x2, row by row; equal rows come out as they are, to the bit."""
    lam = lam.view(-1, *[1] * (x1.dim() - 1))  # (M, 1, ...)
    if x1.dtype.itemsize < 4:
        return torch.lerp(x2.float(), x1.float(), lam.float()).to(x1.dtype)
    return torch.lerp(x2, x1, lam.to(x1.dtype))
