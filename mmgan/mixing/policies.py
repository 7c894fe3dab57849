"""Who is mixed with whom, where, and by how much: the laws from which plans are drawn."""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from mmgan.draws import numpy_stream
from mmgan.errors import UserError
from mmgan.mixing.names import parse_layers
from mmgan.mixing.plan import NO_LAYER, MixPlan

Law = Literal["beta", "uniform", "folded-beta"]
Pair = Literal["real-fake", "fake-real", "fake-fake"]
Device = torch.device | str | None


def real_fake_labels(batch_size: int, device: Device = None) -> Float[Tensor, " rows"]:
    """The labels of B real rows on B fake rows: (2B,) float32, ones and then zeros (Appendix E)."""
    labels = torch.zeros(2 * batch_size, device=device)
    labels[:batch_size] = 1
    return labels


def check_law(law: Law, alpha: float) -> None:
    """Refuse an alpha for which the law of lam is not a distribution on [0, 1].

    Raises:
        UserError: for an unknown law, or an alpha outside its range.
    """
    if law not in get_args(Law):
        raise UserError(f"lam '{law}' is not a law: choose one of {', '.join(get_args(Law))}")
    if law == "uniform" and not 0 < alpha <= 1:
        raise UserError(f"alpha {alpha} is out of range: lam ~ Uniform(0, alpha) needs 0 < alpha <= 1")
    if not (0 < alpha < math.inf):
        raise UserError(f"alpha {alpha} is out of range: lam ~ Beta(alpha, alpha) needs a finite alpha > 0")


def draw_lam(rng: np.random.Generator, law: Law, alpha: float, size: int, per: str) -> npt.NDArray[np.float32]:
    """(size,) values of lam: one for the batch, repeated, or one a row."""
    count = 1 if per == "batch" else size
    if law == "uniform":
        lam = rng.uniform(0.0, alpha, count)
    else:
        lam = rng.beta(alpha, alpha, count)
        if law == "folded-beta":  # the released GAN code keeps lam at or below one half
            lam = np.minimum(lam, 1 - lam)
    return lam.astype(np.float32).repeat(size if per == "batch" else 1)


def _plan(
    layer: str, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], lam: npt.NDArray[np.float32], device: Device
) -> MixPlan:
    tensors = (torch.from_numpy(a) for a in (left, right, lam))
    left_rows, right_rows, weights = (t if device is None else t.to(device, non_blocking=True) for t in tensors)
    return MixPlan(layer, left_rows, right_rows, weights)


def _check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"{what} '{value}' is unknown: choose one of {', '.join(choices)}")


def _draw_layer(layers: tuple[str, ...], seed: int, step: int) -> str:
    """k ~ S, uniformly and without the rank, so that all processes do the same work in a step."""
    return layers[int(numpy_stream(seed, "layer", 0, step).integers(len(layers)))]


class PermutationPolicy:
    """Supervised Manifold Mixup: each row meets the row that a shuffled copy of the batch puts beside it (Section 2).

    Args:
        layers: the set S, as a string ("1,2,pixel") or names; "none" or nothing is the baseline.
        alpha: the parameter of the law of lam; the paper's best is 2 (Appendix C.1).
        lam: "beta" (the paper), "uniform" or "folded-beta".
        per: "batch", one lam for the batch (the paper), or "example", one a row.
        layer_per: "batch", one layer for the batch (the paper), or "example": the batch is cut into one group a layer
            and rows pair only inside their group; such plans come from `draw_groups`.

    Raises:
        UserError: for an alpha, law or choice that does not exist.
    """

    def __init__(
        self,
        layers: str | Sequence[str],
        alpha: float = 2.0,
        lam: Law = "beta",
        per: Literal["batch", "example"] = "batch",
        layer_per: Literal["batch", "example"] = "batch",
    ) -> None:
        self.layers = parse_layers(layers)
        check_law(lam, alpha)
        _check_choice("per", per, ("batch", "example"))
        _check_choice("layer_per", layer_per, ("batch", "example"))
        self.alpha, self.lam, self.per, self.layer_per = alpha, lam, per, layer_per

    def draw(self, batch_size: int, step: int = 0, seed: int = 0, rank: int = 0, device: Device = None) -> MixPlan:
        """The plan of one step: M = batch_size rows, left the batch in order and right a permutation of it.

        Pure: the same arguments give the same plan. Without layers the plan's layer is "none", each row is its own
        partner and `plan.mix(labels)` returns the labels.

        Raises:
            UserError: if layers are drawn per example; `draw_groups` returns those plans.
        """
        if self.layer_per == "example" and self.layers:
            raise UserError("layer_per='example' makes one plan a layer: call draw_groups(...) and net(x, *plans)")
        left = np.arange(batch_size)
        if not self.layers:
            return _plan(NO_LAYER, left, left, np.ones(batch_size, np.float32), device)
        rng = numpy_stream(seed, "pairs", rank, step)
        right = rng.permutation(batch_size)
        weights = draw_lam(rng, self.lam, self.alpha, batch_size, self.per)
        return _plan(_draw_layer(self.layers, seed, step), left, right, weights, device)

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
        groups = np.array_split(rng.permutation(batch_size), len(self.layers))
        order = rng.permutation(len(self.layers))
        return tuple(
            _plan(layer, groups[k], rng.permutation(groups[k]), weights[groups[k]], device)
            for layer, k in zip(self.layers, order, strict=True)
            if len(groups[k])
        )


class RealFakePolicy:
    """Manifold Mixup for a discriminator, over B real rows stacked on B fake rows (Appendix E, Equations 3 to 6).

    Each of the B mixed rows is real-fake, fake-real or fake-fake with equal probability (the kinds in `pairs`); two
    real rows are never mixed. No row is used twice on one side of the pairs of a step.

    Args:
        layers: the set S, as a string ("1,2,pixel") or names; "none" or nothing is the baseline.
        alpha: lam ~ Uniform(0, alpha), 0 < alpha <= 1; the paper's best is 0.5. For the beta laws any alpha > 0.
        lam: "uniform" (the paper), "beta", or "folded-beta" (the released code).
        per: "example", one lam a row, or "batch", one for the batch.
        pairs: the kinds of pairs, named left to right: lam weighs the left row.

    Raises:
        UserError: for an alpha, law, kind or choice that does not exist.
    """

    def __init__(
        self,
        layers: str | Sequence[str],
        alpha: float = 0.5,
        lam: Law = "uniform",
        per: Literal["batch", "example"] = "example",
        pairs: Sequence[Pair] = ("real-fake", "fake-real", "fake-fake"),
    ) -> None:
        self.layers = parse_layers(layers)
        check_law(lam, alpha)
        _check_choice("per", per, ("batch", "example"))
        if not pairs or len(set(pairs)) < len(pairs):
            raise UserError(
                f"pairs {list(pairs)} must name one kind or more, each once, of {', '.join(get_args(Pair))}"
            )
        for pair in pairs:
            _check_choice("pairs", pair, get_args(Pair))
        self.alpha, self.lam, self.per, self.pairs = alpha, lam, per, tuple(pairs)

    def draw(self, batch_size: int, step: int = 0, seed: int = 0, rank: int = 0, device: Device = None) -> MixPlan:
        """The plan of one step over rows 0..B-1 (real) and B..2B-1 (fake): M = B mixed rows, B = batch_size.

        Pure: the same arguments give the same plan. Without layers it has layer "none" and no rows.
        """
        if not self.layers:
            none = np.empty(0, np.int64)
            return _plan(NO_LAYER, none, none, np.empty(0, np.float32), device)
        rng = numpy_stream(seed, "pairs", rank, step)
        kind = rng.integers(len(self.pairs), size=batch_size)
        left_is_fake = np.array([pair.startswith("fake") for pair in self.pairs])[kind]
        right_is_fake = np.array([pair.endswith("fake") for pair in self.pairs])[kind]
        left = rng.permutation(batch_size) + batch_size * left_is_fake
        right = rng.permutation(batch_size) + batch_size * right_is_fake
        weights = draw_lam(rng, self.lam, self.alpha, batch_size, self.per)
        return _plan(_draw_layer(self.layers, seed, step), left, right, weights, device)
