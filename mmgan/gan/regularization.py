"""The regularizers and the rule of mixing of a run, made from its settings and checked with its discriminator."""

from dataclasses import replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from mmgan.config.gan import GanRegularizerSettings
from mmgan.errors import UserError
from mmgan.mixing import Mixed
from mmgan.mixing.policies import RealFakePolicy
from mmgan.modes import evaluation_mode
from mmgan.outputs import heads
from mmgan.regularizers import BCR, R1, R2, ZCR, DiffAugment, GradientPenalty, LeCam, Regularizer, Regularizers


def make_regularizers(settings: GanRegularizerSettings, *, flip: bool, outputs: int = 1) -> Regularizers:
    """The terms whose weight is not 0.

    Args:
        settings: the weights.
        flip: whether mirrored images show the same. Without it bCR shifts images and does not mirror them.
        outputs: heads of the discriminator, for LeCam.
    """
    s, every = settings, settings.penalty_every
    terms: list[Regularizer] = []
    terms += [R1(s.r1, every)] if s.r1 else []
    terms += [R2(s.r2, every)] if s.r2 else []
    terms += [GradientPenalty(s.gradient_penalty, every)] if s.gradient_penalty else []
    terms += [LeCam(s.lecam, outputs=outputs)] if s.lecam else []
    terms += [BCR(s.bcr, DiffAugment("flip,translation" if flip else "translation"))] if s.bcr else []
    # The authors' weights are 5 and 0.5: one setting keeps their ratio.
    terms += [ZCR(s.zcr, generator_weight=s.zcr / 10)] if s.zcr else []
    return Regularizers(terms)


def make_augment(settings: GanRegularizerSettings) -> DiffAugment | None:
    """The differentiable augmentation, or None.

    Raises:
        UserError: for an augmentation that does not exist or is named twice.
    """
    return None if settings.diffaugment == "none" else DiffAugment(settings.diffaugment)


def count_heads(discriminator: nn.Module, images: Float[Tensor, "n c h w"], *classes: Int64[Tensor, " n"]) -> int:
    """How many tensors of logits the discriminator returns; it is left as it is."""
    with evaluation_mode(discriminator), torch.no_grad():
        return len(heads(discriminator(images, *classes)))


def check_rule(
    discriminator: Mixed, policy: RealFakePolicy, images: Float[Tensor, "rows c h w"], *classes: Int64[Tensor, " rows"]
) -> None:
    """Mix once at each layer, where a rule asks more of hidden states than the line does.

    Args:
        discriminator: left as it is.
        policy: draws the plans.
        images: of all real and fake rows of a step.
        classes: of the rows, one for all, where the discriminator takes them.

    Raises:
        UserError: for a layer whose output does not have the channels and positions that the rule mixes.
    """
    if policy.rule == "linear":
        return
    with evaluation_mode(discriminator), torch.no_grad():
        for layer in policy.layers:
            plan = replace(policy.draw(len(images) // 2, device=images.device), layer=layer)
            try:
                discriminator(images, *classes, plan=plan, mode="append")
            except ValueError as error:
                raise UserError(f"--mix-rule {policy.rule} does not go with layer '{layer}': {error}") from None


def in_words(settings: GanRegularizerSettings) -> list[str]:
    """A line that names what is on, or none."""
    s = settings
    penalties = {"R1": s.r1, "R2": s.r2, "gradient penalty": s.gradient_penalty}
    lazily = f" every {s.penalty_every} steps" if s.penalty_every > 1 else ""
    named = [f"{name} {weight:g}{lazily}" for name, weight in penalties.items() if weight]
    named += [f"{name} {weight:g}" for name, weight in {"LeCam": s.lecam, "bCR": s.bcr, "zCR": s.zcr}.items() if weight]
    named += [] if s.diffaugment == "none" else [f"DiffAugment {s.diffaugment}"]
    return [f"regularizers: {', '.join(named)}"] if named else []
