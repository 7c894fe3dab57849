"""A plan says where two rows of a batch are interpolated, which ones, and by how much."""

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mmgan.errors import UserError
from mmgan.mixing.rules import Rule, box_mask, column, exchange_box, interpolate, mix_statistics, rows_of
from mmgan.nests import leaves, map_nest

PIXEL = "pixel"
"""The name of layer 0: the network's input."""

NO_LAYER = "none"
"""The layer of a plan that mixes nothing: the baseline."""


@dataclass(frozen=True, eq=False)
class MixPlan:
    """Mix_lam of Section 2, for M pairs of rows at one layer.

    Attributes:
        layer: the layer's name as the network knows it ("pixel", "1", "h1", "layer2.1", "block2+embed"), or "none".
        left: (M,) int64, rows weighted by lam.
        right: (M,) int64, rows weighted by 1 - lam.
        lam: (M,) floating point, in [0, 1]. The policies draw it; a value outside extrapolates. It may have a gradient:
            mixed values and labels pass it on at every layer, in every mode, under "linear" and "statistics". A lam
            that a network chooses is `policy.draw(...).with_interval(low, length)`.
        parts: rows of each part of the batch: (b, b) for real rows stacked on fake rows, (b,) for one batch.
        rule: "linear" (the paper), "statistics" or "cutmix" (`mmgan.mixing.rules`).
        box: (M, 4), the boxes of "cutmix"; None for the other rules.
        weight: (M,) of 0 and 1: a pair of weight 0 found no partner and does not count. None: all count.
        within: (rows,) integers, equal for both rows of every pair of weight 1. None: pairs ignore classes.
        pack: rows that the network joins to one. Rows of a pack share lam and meet the rows of one other pack.
        used: (U,) int64, the rows that `left` and `right` name, each once. None: as if all.

    Raises:
        ValueError: if left, right and lam are not one-dimensional, of one length and on one device, or if they name a
            row that the parts do not have (checked on a CPU; a GPU reports it when it gathers).
        TypeError: if the indices are not int64 or lam is not floating point.
    """

    layer: str
    left: Int64[Tensor, " m"]
    right: Int64[Tensor, " m"]
    lam: Float[Tensor, " m"]
    parts: tuple[int, ...]
    rule: Rule = "linear"
    box: Float[Tensor, "m 4"] | None = None
    weight: Float[Tensor, " m"] | None = None
    within: Int64[Tensor, " rows"] | None = None
    pack: int = 1
    used: Int64[Tensor, " u"] | None = None

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
        by_hand = self.used is None  # policies name rows that are there
        if by_hand and self.left.device.type == "cpu" and len(self.left) and not torch.compiler.is_compiling():
            for rows in (self.left.numpy(), self.right.numpy()):
                if rows.min() < 0 or rows.max() >= self.rows:
                    wrong = rows.min() if rows.min() < 0 else rows.max()
                    raise ValueError(f"the plan is for {self.rows} rows, but names row {wrong}")

    @property
    def rows(self) -> int:
        """Rows of the batch that the plan is for: 2b for real rows on fake rows, b for one batch."""
        return sum(self.parts)

    def __len__(self) -> int:
        """M, the number of mixed rows."""
        return len(self.lam)

    def mix(self, values: Tensor, dim: int = 0) -> Tensor:
        """lam * values[left] + (1 - lam) * values[right], for hidden states and labels (Section 2, Mix_lam).

        The four-case label function y(lam; x1, x2) of Appendix E is `plan.mix(real_fake_labels(b))`. Under another rule
        than "linear" this is for hidden states; `mix_labels` has the labels that go with them.

        Args:
            values: (rows, ...) floating point, on the plan's device.
            dim: where the rows lie.

        Returns:
            (M, ...), same dtype and device; differentiable in values, which are left as they are, and in lam.

        Raises:
            TypeError: for integers and booleans, which interpolation would truncate.
            ValueError: for values with another number of rows, on another device than the plan, or without the channels
                and positions that the rule needs.
        """
        self._check(values, dim)
        x1, x2 = rows_of(values, self.left, dim), rows_of(values, self.right, dim)  # (M, ...)
        if self.rule == "linear":
            return interpolate(x1, x2, column(self.lam, values.dim(), dim))  # (M, ...)
        if values.dim() < 3 or dim:
            raise ValueError(
                f"rule '{self.rule}' needs values (rows, channels, positions...), not {tuple(values.shape)}: choose"
                " another layer, or rule 'linear'"
            )
        if self.rule == "statistics":
            return mix_statistics(x1, x2, self.lam)  # (M, c, ...)
        assert self.box is not None
        return exchange_box(x1, x2, self.box)  # (M, c, ...)

    def replace(self, values: Tensor, dim: int = 0) -> Tensor:
        """The values, with rows `left` become `mix(values)`: (rows, ...) -> (rows, ...), a new tensor.

        What `Mixed` does to hidden states in mode "replace", and what soft labels need with it. Rows not in `left` keep
        their values to the bit. `left` must not name a row twice. Arguments and errors as in `mix`.
        """
        if self.rule != "linear" or dim:
            return values.index_copy(dim, self.left, self.mix(values, dim))  # (rows, ...)
        self._check(values, dim)
        n = len(values)
        partner = torch.arange(n, device=self.left.device).index_copy(0, self.left, self.right)  # (rows,)
        weight = torch.ones(n, dtype=self.lam.dtype, device=self.lam.device).index_copy(0, self.left, self.lam)
        return interpolate(values, rows_of(values, partner), column(weight, values.dim()))  # (rows, ...)

    def mix_labels(self, labels: Tensor, like: Tensor | None = None) -> Tensor:
        """The labels of the mixed rows: `mix(labels)` under "linear".

        "statistics" keeps the content of the left row, so its label; "cutmix" gives the share of the area, and for a
        map of logits the share of each position.

        Args:
            labels: (rows,) or (rows, classes), floating point.
            like: the mixed rows' logits (M, ...). The labels come in a shape that broadcasts to it. Only for (rows,).

        Returns:
            (M,) or (M, classes); with `like` (M, 1, ...), or (M, 1, h, w) where positions have labels of their own.
        """
        self._check(labels)
        if self.rule == "statistics":
            mixed = rows_of(labels, self.left)
        elif self.rule == "cutmix" and like is not None and like.dim() > 2:
            assert self.box is not None
            mask = box_mask(self.box, like.shape[2:]).unsqueeze(1)  # (M, 1, ...)
            x1, x2 = (column(rows_of(labels, index), like.dim()) for index in (self.left, self.right))
            return interpolate(x1, x2, mask)  # (M, 1, ...)
        else:
            x1, x2 = rows_of(labels, self.left), rows_of(labels, self.right)
            mixed = interpolate(x1, x2, column(self.lam, labels.dim()))
        return mixed if like is None else column(mixed, like.dim())

    def mix_outputs(self, outputs: Tensor) -> Tensor:
        """What the consistency target asks of the mixed rows: the mix of the two rows' own outputs.

        "statistics": the left row's output; "cutmix": the share of the area, or of each position of a map.

        Args:
            outputs: (rows, ...) floating point.

        Returns:
            (M, ...).
        """
        if self.rule == "cutmix" and outputs.dim() > 2:
            return self.mix(outputs)  # (M, c, ...)
        return self.mix_labels(outputs)

    def with_interval(self, low: Float[Tensor, " m"], length: Float[Tensor, " m"]) -> "MixPlan":
        """The plan with lam = low + length * lam: of lam ~ U(0, 1) it makes lam ~ U(low, low + length).

        The draw stays a pure function of (seed, purpose, rank, step) given the interval, and lam has a gradient by both
        numbers (the reparametrisation of AdaMix, Guo et al., arXiv 1809.02499):

            plan = PermutationPolicy("pixel", alpha=1, lam="uniform", per="example").draw(b, step, seed, rank, device)
            plan = plan.with_interval(*intervals(x[plan.left], x[plan.right]))

        Args:
            low, length: (M,) floating point on the plan's device, of any precision; lam is computed in their common
                one. [low, low + length] within [0, 1] interpolates.

        Raises:
            UserError: under rule "cutmix", whose boxes are drawn with lam.
        """
        if self.rule == "cutmix":
            raise UserError("the boxes of rule 'cutmix' are drawn with lam and have no gradient: choose rule 'linear'")
        return replace(self, lam=low + length * self.lam)

    def take_left(self, values: Tensor, dim: int = 0) -> Tensor:
        """values[left], of any dtype: (rows, ...) -> (M, ...)."""
        return rows_of(values, self.left, dim)

    def split(self, output: Any) -> tuple[Any, ...]:
        """The parts of an appended forward's output: (real, fake, mixed), or (plain, mixed) of one batch.

        Args:
            output: a nest of tensors with rows + M rows each, M of them mixed; a network that packs rows has fewer by
                that factor.

        Raises:
            UserError: for a tensor with another number of rows, named by its path.
        """
        sizes = [rows // self.pack for rows in (*self.parts, len(self))]
        for path, leaf in leaves(output):
            if leaf.dim() == 0 or len(leaf) != sum(sizes):
                raise UserError(
                    f"output{path} of shape {tuple(leaf.shape)} does not have the {sum(sizes)} rows of an appended"
                    " forward: leave it out by pick=, or use mode='append'"
                )
        starts = accumulate(sizes, initial=0)
        return tuple(_narrowed(output, start, size) for start, size in zip(starts, sizes, strict=False))

    def of_outputs(self) -> "MixPlan":
        """The plan of the rows that come out of a network that packs `pack` rows to one."""
        if self.pack == 1:
            return self
        left, right = (index[:: self.pack] // self.pack for index in (self.left, self.right))
        parts = tuple(rows // self.pack for rows in self.parts)
        weight = None if self.weight is None else self.weight[:: self.pack]
        box = None if self.box is None else self.box[:: self.pack]
        return MixPlan(self.layer, left, right, self.lam[:: self.pack], parts, self.rule, box, weight)

    def to(self, device: torch.device | str) -> "MixPlan":
        """The same plan on another device."""
        names = ("left", "right", "lam", "box", "weight", "within", "used")
        moved = {name: value.to(device) for name in names if (value := getattr(self, name)) is not None}
        return replace(self, **moved)

    def _check(self, values: Tensor, dim: int = 0) -> None:
        if not values.is_floating_point():
            raise TypeError(
                f"{values.dtype} values cannot be interpolated: convert images to float, class labels to one-hot rows"
            )
        if values.dim() == 0:
            raise ValueError("a scalar has no rows to mix")
        if values.device != self.lam.device:
            raise ValueError(f"the plan lies on {self.lam.device}, the values on {values.device}: draw it with device=")
        if values.shape[dim] != self.rows:
            raise ValueError(f"the plan is for {self.rows} rows, but the values have {values.shape[dim]}")


def _narrowed(output: Any, start: int, size: int) -> Any:
    """Rows start to start + size of each tensor."""
    return map_nest(lambda _, leaf: leaf[start : start + size], output)
