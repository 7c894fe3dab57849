"""Who is mixed with whom, where, and by how much: the laws from which plans are drawn."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmgan.draws import numpy_stream
from mmgan.errors import UserError
from mmgan.mixing.laws import Law, check_law, draw_box, draw_lam
from mmgan.mixing.names import Layers, parse_layers
from mmgan.mixing.partners import partners_within
from mmgan.mixing.plan import NO_LAYER, MixPlan
from mmgan.mixing.rules import Rule
from mmgan.transfer import to_device

Pair = Literal["real-fake", "fake-real", "fake-fake"]
Device = torch.device | str | None


def _plan(
    layer: str,
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
    lam: npt.NDArray[np.float32],
    device: Device,
    parts: tuple[int, ...],
    box: npt.NDArray[np.float32] | None = None,
    pack: int = 1,
    **more: Any,
) -> MixPlan:
    """A plan on the device. With `pack` the pairs are of packs, and become pairs of their rows."""
    if pack > 1:
        inside = np.arange(pack)
        left, right = ((index[:, None] * pack + inside).reshape(-1) for index in (left, right))
        lam = lam.repeat(pack)
        box = None if box is None else box.repeat(pack, axis=0)
    named = np.zeros(sum(parts), np.bool_)
    named[left] = named[right] = True
    used = named.nonzero()[0]
    arrays = {"left": left, "right": right, "lam": lam, "used": used} | ({} if box is None else {"box": box})
    tensors: dict[str, Any] = {name: to_device(torch.from_numpy(array), device) for name, array in arrays.items()}
    return MixPlan(layer, parts=parts, pack=pack, **tensors, **more)


def _check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"{what} '{value}' is unknown: choose one of {', '.join(choices)}")


def _draw_layer(layers: tuple[str, ...], seed: int, step: int) -> str:
    """k ~ S, uniformly and without the rank, so that all processes do the same work in a step."""
    return layers[int(numpy_stream(seed, "layer", 0, step).integers(len(layers)))]


def _packs(batch_size: int, pack: int) -> int:
    if pack < 1 or batch_size % pack:
        raise UserError(f"{batch_size} rows cannot be cut into packs of {pack}: choose a multiple")
    return batch_size // pack


def _check_classes(within: Tensor, rows: int) -> None:
    if within.dtype != torch.int64 or within.shape != (rows,):
        raise UserError(
            f"within= takes the classes of all {rows} rows as int64 ({rows},), not {within.dtype} {tuple(within.shape)}"
        )


class PermutationPolicy:
    """Supervised Manifold Mixup: each row is mixed with a row of a shuffled copy of the batch (Section 2).

    Args:
        layers: the set S, as a string ("1,2,pixel") or names; "none" or nothing is the baseline.
        alpha: the parameter of the law of lam; the paper's best is 2 (Appendix C.1).
        lam: "beta" (the paper), "uniform" or "folded-beta".
        per: "batch", one lam for the batch (the paper), or "example", one a row.
        layer_per: "batch", one layer for the batch (the paper), or "example": the batch is cut into one group a layer
            and rows pair only inside their group; such plans come from `draw_groups`.
        rule: "linear" (the paper), "cutmix" (boxes of area lam) or "statistics" (channel means and deviations).

    Raises:
        UserError: for an alpha, law or choice that does not exist.
    """

    def __init__(
        self,
        layers: Layers,
        alpha: float = 2.0,
        lam: Law = "beta",
        per: Literal["batch", "example"] = "batch",
        layer_per: Literal["batch", "example"] = "batch",
        rule: Rule = "linear",
    ) -> None:
        self.layers = parse_layers(layers)
        check_law(lam, alpha)
        _check_choice("per", per, ("batch", "example"))
        _check_choice("layer_per", layer_per, ("batch", "example"))
        _check_choice("rule", rule, get_args(Rule))
        self.alpha, self.lam, self.per, self.layer_per, self.rule = alpha, lam, per, layer_per, rule

    def draw(
        self,
        batch_size: int,
        step: int = 0,
        seed: int = 0,
        rank: int = 0,
        device: Device = None,
        within: Tensor | None = None,
        pack: int = 1,
    ) -> MixPlan:
        """The plan of one step: M = batch_size rows, left the batch in order and right a permutation of it.

        Pure: the same arguments give the same plan. Without layers the plan's layer is "none", each row is its own
        partner and `plan.mix(labels)` returns the labels.

        Args:
            batch_size: b, rows of the batch.
            step, seed, rank: name the draw; the layer is drawn without the rank.
            device: where the plan is to lie.
            within: (b,) int64 classes on the device: rows meet rows of their own class alone.
            pack: rows that the network joins to one: they share lam, and pack meets pack. Not with `within`.

        Raises:
            UserError: if layers are drawn per example; `draw_groups` returns those plans. If the rows cannot be packed.
        """
        if self.layer_per == "example" and self.layers:
            raise UserError("layer_per='example' makes one plan a layer: call draw_groups(...) and net(x, plan=plans)")
        parts, packs = (batch_size,), _packs(batch_size, pack)
        left = np.arange(packs)
        if not self.layers:
            return _plan(NO_LAYER, left, left, np.ones(packs, np.float32), device, parts, pack=pack)
        rng = numpy_stream(seed, "pairs", rank, step)
        right = rng.permutation(packs)
        weights = draw_lam(rng, self.lam, self.alpha, packs, self.per)
        box = draw_box(self.rule, weights, seed, rank, step)
        plan = _plan(
            _draw_layer(self.layers, seed, step), left, right, weights, device, parts, box, pack, rule=self.rule
        )
        return plan if within is None else _pair_within(plan, within, order=right, wanted_fake=None)

    def draw_groups(
        self, batch_size: int, step: int = 0, seed: int = 0, rank: int = 0, device: Device = None
    ) -> tuple[MixPlan, ...]:
        """The plans of one step: one for the batch, or with layer_per="example" one for each layer that has rows.

        Groups differ in size by one row at most; which rows and which layers are the larger is drawn each time, so that
        every row meets every layer equally often. The plans come in the order of `layers`.
        """
        if self.layer_per == "batch" or not self.layers:
            return (self.draw(batch_size, step, seed, rank, device),)
        rng = numpy_stream(seed, "pairs", rank, step)
        weights = draw_lam(rng, self.lam, self.alpha, batch_size, self.per)
        box = draw_box(self.rule, weights, seed, rank, step)
        groups = np.array_split(rng.permutation(batch_size), len(self.layers))
        order = rng.permutation(len(self.layers))
        return tuple(
            _plan(
                layer,
                rows := groups[k],
                rng.permutation(rows),
                weights[rows],
                device,
                (batch_size,),
                None if box is None else box[rows],
                rule=self.rule,
            )
            for layer, k in zip(self.layers, order, strict=True)
            if len(groups[k])
        )


class RealFakePolicy:
    """Manifold Mixup for a discriminator, over b real rows stacked on b fake rows (Appendix E, Equations 3 to 6).

    Each of the b mixed rows is real-fake, fake-real or fake-fake with equal probability (the kinds in `pairs`); two
    real rows are never mixed. No row is used twice on one side of the pairs of a step.

    Args:
        layers: the set S, as a string ("1,2,pixel") or names; "none" or nothing is the baseline.
        alpha: lam ~ Uniform(0, alpha), 0 < alpha <= 1; the paper's best is 0.5. For the beta laws any alpha > 0.
        lam: "uniform" (the paper), "beta", or "folded-beta" (the released code).
        per: "example", one lam a row, or "batch", one for the batch.
        pairs: the kinds of pairs, named left to right: lam weighs the left row.
        rule: "linear" (the paper), "cutmix" (boxes of area lam) or "statistics" (channel means and deviations).

    Raises:
        UserError: for an alpha, law, kind or choice that does not exist.
    """

    def __init__(
        self,
        layers: Layers,
        alpha: float = 0.5,
        lam: Law = "uniform",
        per: Literal["batch", "example"] = "example",
        pairs: Sequence[Pair] = ("real-fake", "fake-real", "fake-fake"),
        rule: Rule = "linear",
    ) -> None:
        self.layers = parse_layers(layers)
        check_law(lam, alpha)
        _check_choice("per", per, ("batch", "example"))
        _check_choice("rule", rule, get_args(Rule))
        if not pairs or len(set(pairs)) < len(pairs):
            raise UserError(
                f"pairs {list(pairs)} must name one kind or more, each once, of {', '.join(get_args(Pair))}"
            )
        for pair in pairs:
            _check_choice("pairs", pair, get_args(Pair))
        self.alpha, self.lam, self.per, self.pairs, self.rule = alpha, lam, per, tuple(pairs), rule

    def draw(
        self,
        batch_size: int,
        step: int = 0,
        seed: int = 0,
        rank: int = 0,
        device: Device = None,
        within: Tensor | None = None,
        pack: int = 1,
    ) -> MixPlan:
        """The plan of one step over rows 0..b-1 (real) and b..2b-1 (fake): M = b mixed rows, b = batch_size.

        Pure: the same arguments give the same plan. Without layers it has layer "none" and no rows.

        Args:
            batch_size: b, real rows, and as many fake ones.
            step, seed, rank: name the draw; the layer is drawn without the rank.
            device: where the plan is to lie.
            within: (2b,) int64 classes on the device: rows meet rows of their own class alone. Left rows, kinds and lam
                are those of the same draw without it. A row without a partner of the wanted kind and class gets weight
                0. Partners are found on the device, without a synchronisation.
            pack: rows that the network joins to one: they share lam, and pack meets pack. Not with `within`.

        Raises:
            UserError: if the rows cannot be packed, or `within` does not fit them.
        """
        parts, packs = (batch_size, batch_size), _packs(batch_size, pack)
        if not self.layers:
            none = np.empty(0, np.int64)
            return _plan(NO_LAYER, none, none, np.empty(0, np.float32), device, parts, pack=pack)
        rng = numpy_stream(seed, "pairs", rank, step)
        kind = rng.integers(len(self.pairs), size=packs)
        left_is_fake = np.array([pair.startswith("fake") for pair in self.pairs])[kind]
        right_is_fake = np.array([pair.endswith("fake") for pair in self.pairs])[kind]
        left = rng.permutation(packs) + packs * left_is_fake
        order = rng.permutation(packs)
        weights = draw_lam(rng, self.lam, self.alpha, packs, self.per)
        box = draw_box(self.rule, weights, seed, rank, step)
        layer = _draw_layer(self.layers, seed, step)
        right = order + packs * right_is_fake
        plan = _plan(layer, left, right, weights, device, parts, box, pack, rule=self.rule)
        return plan if within is None else _pair_within(plan, within, order, right_is_fake)


def _pair_within(
    plan: MixPlan, within: Tensor, order: npt.NDArray[np.int64], wanted_fake: npt.NDArray[np.bool_] | None
) -> MixPlan:
    """The plan with partners of the left rows' own classes; `order` is the random order of a part's rows."""
    _check_classes(within, plan.rows)
    if plan.pack > 1:
        raise UserError("pack= and within= exclude each other: rows of a pack have classes of their own")
    device, b, count = plan.left.device, plan.parts[0], len(plan.parts)
    if within.device != device:
        raise UserError(f"within= lies on {within.device}, the plan on {device}: draw the plan with device=")
    arrays = np.concatenate([order + b * part for part in range(count)]), np.arange(count).repeat(b)
    order_of_all, kind = (to_device(torch.from_numpy(array), device) for array in arrays)
    wanted = np.zeros(len(plan), np.int64) if wanted_fake is None else wanted_fake.astype(np.int64)
    right, weight = partners_within(within, plan.left, order_of_all, kind, to_device(torch.from_numpy(wanted), device))
    return MixPlan(plan.layer, plan.left, right, plan.lam, plan.parts, plan.rule, plan.box, weight, within, plan.pack)
