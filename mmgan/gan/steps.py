"""One update of the discriminator, and one of the generator: augment, forward, loss, regularizers, backward.

A step has one slice or, with gradient accumulation, several whose gradients add up. Slice s of N on rank r draws as
rank r * N + s of N times as many processes.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from jaxtyping import Float, Int64
from torch import Tensor, nn

from mmgan.config.gan import GanMixSettings
from mmgan.gan.objectives import Loss, discriminator_objective, generator_objective
from mmgan.mixing.plan import MixPlan
from mmgan.modes import spectral_norms_at_rest
from mmgan.nests import map_nest
from mmgan.outputs import wide
from mmgan.regularizers import ZCR, DiffAugment, Regularizers, Step
from mmgan.relativistic import PairLoss
from mmgan.training.guard import Guard
from mmgan.training.layout import keep_gradient_layout

Terms = dict[str, Tensor | None]
"""Losses and regularizers by their names in metrics, scalars without gradients; None: not computed in this step."""

Classes = tuple[Tensor, ...]
"""One tensor (rows,), or nothing where the networks take no classes."""


@dataclass(frozen=True, eq=False)
class DiscriminatorSlice:
    """The rows of a discriminator's step, or of a slice of it.

    Attributes:
        real: (b, c, h, w), in [-1, 1].
        latents: (b, d), of as many fake rows.
        plan: of the mixed rows.
        rank: of the draws.
        classes: (b,), of the real rows and of the fake rows; None: the networks take none.
    """

    real: Float[Tensor, "b c h w"]
    latents: Float[Tensor, "b d"]
    plan: MixPlan
    rank: int
    classes: Int64[Tensor, " b"] | None = None

    @property
    def of_rows(self) -> Classes:
        """The classes of real rows, or of fake rows, as a network takes them after its input."""
        return () if self.classes is None else (self.classes,)

    @property
    def of_all_rows(self) -> Classes:
        """The classes of real rows stacked on fake rows: the plan's own, where it was drawn within them."""
        if self.classes is None:
            return ()
        return (torch.cat([self.classes] * 2) if self.plan.within is None else self.plan.within,)


@dataclass(frozen=True, eq=False)
class GeneratorSlice:
    """The rows of a generator's step, or of a slice of it.

    Attributes:
        latents: (n, d).
        real: (b, c, h, w), for losses of pairs; n is a multiple of b.
        rank: of the draws.
        classes: (b,), of the real rows; fake row i has that of real row i mod b. None: the networks take none.
    """

    latents: Float[Tensor, "n d"]
    real: Float[Tensor, "b c h w"]
    rank: int
    classes: Int64[Tensor, " b"] | None = None

    @property
    def of_real(self) -> Classes:
        """The classes of the real rows, as a network takes them after its input."""
        return () if self.classes is None else (self.classes,)

    @property
    def of_fake(self) -> Classes:
        """The classes of the fake rows."""
        return tuple(classes.repeat(len(self.latents) // len(classes)) for classes in self.of_real)  # (n,)


class Steps:
    """The updates of both networks.

    Args:
        generator, discriminator: as `accelerator.prepare` returned them.
        guard_g, guard_d: of their updates.
        loss: what logits cost.
        mix: the target of mixed rows, and the weight of their term.
        regularizers: of the discriminator. zCR has a part in the generator's step too.
        augment: of all images that the discriminator sees; or None.
        accelerator: the run's, or an `Alone`.
        seed: of the draws.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        guard_g: Guard,
        guard_d: Guard,
        loss: Loss,
        mix: GanMixSettings,
        regularizers: Regularizers,
        augment: DiffAugment | None,
        accelerator: Accelerator,
        seed: int,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.guard_g, self.guard_d = guard_g, guard_d
        self.loss, self.mix, self.regularizers, self.augment = loss, mix, regularizers, augment
        self.accelerator, self.seed = accelerator, seed
        # `prepare` makes a network enter autocast by itself. D must not: its penalties are computed in float32.
        self.plain_d = accelerator.unwrap_model(discriminator, keep_fp32_wrapper=False)
        self.plain_g = accelerator.unwrap_model(generator)
        if discriminator is not self.plain_d and any(term.second_order for term in regularizers.values()):
            keep_gradient_layout(self.plain_d)
        # Parts of a network that a user brings may be frozen.
        self.trained_d = [p for p in self.plain_d.parameters() if p.requires_grad]

    def discriminator_step(self, number: int, slices: Sequence[DiscriminatorSlice]) -> list[Terms]:
        """One update of the discriminator, by one forward over real, fake and mixed rows a slice (Equation 6).

        Args:
            number: of the discriminator's step.
            slices: one or more of equal size.

        Returns:
            The terms of each slice; "loss_d" is the sum of all, with their weights.
        """
        found: list[Terms] = []
        for s, part in enumerate(slices):
            last = s == len(slices) - 1
            with self._slice(first=s == 0, last=last, network=self.discriminator):
                terms, values = self._discriminator_terms(number, part, last)
                (self.guard_d.update if last else self.guard_d.backward)(terms["loss_d"] / len(slices))
            noted: Terms = {name: value.detach() for name, value in terms.items()}
            noted |= {name: values.get(name) for name in self.regularizers}
            found.append(noted)
        return found

    def _discriminator_terms(
        self, number: int, part: DiscriminatorSlice, last: bool
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The losses, the weighted regularizers in "loss_d", and the values of the regularizers that are due."""
        with torch.no_grad(), self.accelerator.autocast():
            fake = self._made(part.latents, part.of_rows, number, part.rank)  # (b, c, h, w)
        real = self._augmented(part.real, "real", number, part.rank)  # (b, c, h, w)
        fake = fake.to(real.dtype)
        at_real, at_fake = self.regularizers.differentiable(number, real, fake)
        # Differentiating a forward takes all of its rows. Another forward of the penalised rows alone costs less,
        # unless these are all.
        all_rows = at_real.requires_grad and at_fake.requires_grad and len(part.plan) == 0
        with self._exact() if all_rows else self.accelerator.autocast():
            x = torch.cat([at_real, at_fake] if all_rows else [real, fake])  # (2b, c, h, w)
            logits = in_float32(self.discriminator(x, *part.of_all_rows, plan=part.plan, mode="append"))  # (2b + m,)
            terms = discriminator_objective(self.loss, logits, part.plan, self.mix)
        on_real, on_fake, _ = part.plan.split(logits)  # (b,), (b,)
        step = Step(
            at_real,
            at_fake,
            on_real if all_rows or not at_real.requires_grad else self._exact_logits(at_real, *part.of_rows),
            on_fake if all_rows or not at_fake.requires_grad else self._exact_logits(at_fake, *part.of_rows),
            self._logits,
            number,
            self.seed,
            part.rank,
            real_classes=part.classes,
            fake_classes=part.classes,
            generator=lambda z: self._made(z, part.of_rows, number, part.rank),
            latents=part.latents,
            last=last,
        )
        eager = self._eager() if self.regularizers.second_order(number) else nullcontext()
        with eager, self.accelerator.autocast():
            penalty, values = self.regularizers.forward(step)
        if values:
            terms["loss_d"] = terms["loss_d"] + penalty
        return terms, values

    def generator_step(self, number: int, slices: Sequence[GeneratorSlice]) -> list[Terms]:
        """One update of the generator, through a discriminator that needs no gradients of its own.

        Args:
            number: of the generator's step.
            slices: one or more of equal size.

        Returns:
            The terms of each slice.
        """
        found: list[Terms] = []
        self._train_discriminator(False)
        for s, part in enumerate(slices):
            last = s == len(slices) - 1
            with self._slice(first=s == 0, last=last, network=self.generator):
                with self.accelerator.autocast():
                    terms = self._generator_terms(number, part)
                (self.guard_g.update if last else self.guard_g.backward)(terms["loss_g"] / len(slices))
            found.append({name: value.detach() for name, value in terms.items()})
        self._train_discriminator(True)
        return found

    def _train_discriminator(self, flag: bool) -> None:
        for parameter in self.trained_d:
            parameter.requires_grad_(flag)

    def _generator_terms(self, number: int, part: GeneratorSlice) -> dict[str, Tensor]:
        fake = self.generator(part.latents, *part.of_fake)  # (n, c, h, w)
        seen = self._augmented(fake, "fake of g", number, part.rank)  # (n, c, h, w)
        on_fake = in_float32(self.plain_d(seen, *part.of_fake))  # (n,)
        on_real = None
        if isinstance(self.loss, PairLoss):
            with torch.no_grad():
                real = self._augmented(part.real, "real of g", number, part.rank)  # (b, c, h, w)
                on_real = self._logits(real, *part.of_real)  # (b,)
        loss = generator_objective(self.loss, on_fake, on_real)
        for term in self.regularizers.values():
            if isinstance(term, ZCR):
                draws = {"step": number, "seed": self.seed, "rank": part.rank}
                zcr = term.of_generator(fake, lambda z: self.plain_g(z, *part.of_fake), part.latents, **draws)
                return {"loss_g": loss + zcr, "zcr_g": zcr}
        return {"loss_g": loss}

    def _logits(self, images: Float[Tensor, "n c h w"], *classes: Int64[Tensor, " n"]) -> Any:
        """A further forward of D in a step whose first one made the spectral norms advance."""
        with spectral_norms_at_rest(self.plain_d):
            return in_float32(self.plain_d(images, *classes))

    def _exact_logits(self, images: Float[Tensor, "n c h w"], *classes: Int64[Tensor, " n"]) -> Any:
        with self._exact():
            return self._logits(images, *classes)

    def _made(
        self, latents: Float[Tensor, "b d"], classes: Classes, number: int, rank: int
    ) -> Float[Tensor, "b c h w"]:
        """Fake images as the discriminator's step sees them."""
        return self._augmented(self.plain_g(latents, *classes), "fake", number, rank)

    def _augmented(self, images: Float[Tensor, "n c h w"], rows: str, number: int, rank: int) -> Tensor:
        return images if self.augment is None else self.augment(images, rows, step=number, seed=self.seed, rank=rank)

    @contextmanager
    def _slice(self, *, first: bool, last: bool, network: nn.Module) -> Iterator[None]:
        """A slice of a step: spectral norms advance in the first, processes exchange gradients in the last."""
        with ExitStack() as stack:
            if not first:
                stack.enter_context(spectral_norms_at_rest(self.plain_g, self.plain_d))
            if not last:
                stack.enter_context(self.accelerator.no_sync(network))
            yield

    @contextmanager
    def _exact(self) -> Iterator[None]:
        """For a forward that a penalty differentiates twice: in float32, and not compiled."""
        with self._eager(), torch.autocast(self.accelerator.device.type, enabled=False):
            yield

    def _eager(self) -> AbstractContextManager[object]:
        compiled = self.plain_d._compiled_call_impl is not None
        return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


def in_float32(logits: Any) -> Any:
    """A nest of logits in float32, or in float64 where they are."""
    return map_nest(lambda _, leaf: wide(leaf), logits)


def mean_terms(found: Sequence[Terms]) -> Terms:
    """The mean of each term over the steps and slices that computed it."""
    always = [name for name in found[0] if all(terms[name] is not None for terms in found)]
    table = torch.stack([torch.stack([terms[name] for name in always]) for terms in found])  # type: ignore[misc]
    means: Terms = dict(zip(always, table.mean(0), strict=True))
    for name in found[0]:
        if name not in means:
            values = [value for terms in found if (value := terms[name]) is not None]
            means[name] = torch.stack(values).mean() if values else None
    return {name: means[name] for name in found[0]}
