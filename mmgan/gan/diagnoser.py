"""The diagnosis of a run's discriminator, as plain numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmgan.data import Images, draw_images, to_float
from mmgan.draws import global_stream
from mmgan.gan.diagnosis import (
    Rows,
    along_lam,
    calibration,
    gradient_along_lam,
    gradient_norms,
    logits_of,
    overfitting,
    straightness,
)
from mmgan.mixing import Mixed
from mmgan.mixing.names import stage_names
from mmgan.mixing.plan import NO_LAYER, PIXEL
from mmgan.scoring import latents

IMAGES, VALUES = 1000, 2**26
"""Images of each kind at most, and the numbers in them, so that large images fit into memory."""

PAIRS = 128
"""Pairs of a training image and a fake at most, along lam."""

LAM = torch.linspace(0, 1, 11)

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Diagnoser:
    """Diagnoses discriminators on the same images, pairs and latents each time.

    Attributes:
        train: images that the discriminator was trained on.
        held_out: images that it was not trained on; None: there are none, and so no r.
        conditional: whether the networks take classes.
        mixed: the layers of the run, diagnosed where the discriminator names no stages of its own.
        latent_dim: dimensions of z.
        chunk: rows per forward.
        seed: of all draws.
        device: where to compute.
    """

    train: Images
    held_out: Images | None
    conditional: bool
    mixed: tuple[str, ...]
    latent_dim: int
    chunk: int
    seed: int
    device: torch.device

    def entry(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        step: int,
        pick: Callable[[Any], Any] | None = None,
    ) -> dict[str, Any]:
        """The diagnosis as plain values; None stands for a number that is not finite.

        Args:
            generator: a copy to sample from. It runs as in training, with BatchNorm's statistics of the batch.
            discriminator: a copy in eval mode, without gradients.
            step: after which they were copied.
            pick: takes the logits from what the discriminator returns; None: they are what it returns.
        """
        layers = self.layers(discriminator)
        # Stages are cuts, and layers of the run were looked at before it.
        net = Mixed(discriminator, layers, pick=pick, check=False)
        train = self._rows(self.train)
        fake = self._fakes(generator, train)
        rows = {"train": train, "fake": fake}
        if self.held_out is not None:
            rows["held_out"] = self._rows(self.held_out)
        logits = {name: logits_of(net, values, self.chunk) for name, values in rows.items()}
        some = {name: _spread(values, PAIRS) for name, values in rows.items()}
        pairs = some["train"], some["fake"]
        norms: dict[str, Any] = {"lam": _numbers(gradient_along_lam(net, *pairs, LAM, self.chunk))}
        r = None
        if self.held_out is not None:
            norms["held_out"] = _number(gradient_norms(net, some["held_out"], self.chunk).mean())
            r = overfitting(logits["train"], logits["held_out"], logits["fake"])
        return {
            "step": step,
            "images": {name: len(values) for name, values in logits.items()},
            "held_out": None if self.held_out is None else f"{self.held_out.name} ({self.held_out.split})",
            "pairs": len(pairs[0][0]),
            "overfitting": _number(r),
            "logits": {name: _summary(values) for name, values in logits.items()},
            "lam": _numbers(LAM),
            "layers": {layer: _layer(along_lam(net, layer, *pairs, LAM, self.chunk)) for layer in layers},
            "gradient_norm": norms,
        }

    def layers(self, discriminator: nn.Module) -> tuple[str, ...]:
        """The pixels and the discriminator's own stages; without stages the pixels and the layers of the run."""
        stages = stage_names(discriminator)
        first = {module: name for name, module in reversed(stages.items())}.values()  # of several names of a module
        names = [name for name in stages if name in first] or self.mixed
        return tuple(dict.fromkeys([PIXEL, *(name for name in names if name != NO_LAYER)]))

    def _rows(self, images: Images) -> Rows:
        x = to_float(images.pixels.to(self.device))  # (n, c, h, w)
        if not self.conditional:
            return (x,)
        assert images.labels is not None
        return x, images.labels.to(self.device)

    def _fakes(self, generator: nn.Module, like: Rows) -> Rows:
        """As many fakes as there are rows, of the same classes."""
        z = latents(0, len(like[0]), self.latent_dim, self.seed).to(self.device)  # (n, latent_dim)
        batches = zip(*(torch.split(values, self.chunk) for values in (z, *like[1:])), strict=True)
        generator.train()
        with torch.no_grad(), global_stream(self.seed, "diagnosis"):  # a stream for a dropout of the generator
            return torch.cat([generator(*batch) for batch in batches]), *like[1:]


def some_images(images: Images, seed: int) -> Images:
    """At most as many images, drawn by the seed, as a diagnosis takes."""
    count = max(2, min(IMAGES, VALUES // images.pixels[0].numel()))
    return images if len(images) <= count else draw_images(images, count, seed)


def _spread(rows: Rows, count: int) -> Rows:
    """At most `count` of the rows, evenly spaced: folders hold one class after the other."""
    n = len(rows[0])
    index = torch.linspace(0, n - 1, min(count, n), dtype=torch.float64).round().long().to(rows[0].device)
    return tuple(values[index] for values in rows)


def _layer(logits: Float[Tensor, "l n"]) -> dict[str, Any]:
    """D along lam at one layer: its mean, the distance from the line, the calibration of sigmoid(D)."""
    straight = straightness(logits, LAM)
    real, error = calibration(logits, LAM)
    return {
        "logit": _numbers(logits.mean(1)),
        "deviation": _number(straight.deviation),
        "relative_deviation": _number(straight.relative_deviation),
        "sigmoid": _numbers(real),
        "calibration_error": _number(error),
    }


def _summary(logits: Float[Tensor, " n"]) -> dict[str, Any]:
    at = torch.tensor(QUANTILES, dtype=torch.float64, device=logits.device)
    return {"mean": _number(logits.double().mean()), "quantiles": _numbers(logits.double().quantile(at))}


def _number(value: Tensor | float | None) -> float | None:
    return round(float(value), 6) if value is not None and math.isfinite(value) else None


def _numbers(values: Tensor) -> list[float | None]:
    return [_number(value) for value in values.tolist()]
