"""The augmentation and the rule of mixing of a run, checked with its discriminator; its regularizers in words."""

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
from mmgan.regularizers import DiffAugment, Regularizer, Regularizers


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


def in_words(regularizers: Regularizers, diffaugment: str) -> list[str]:
    """A line that names what is on, or none."""
    named = []
    for name, term in regularizers.items():
        assert isinstance(term, Regularizer)
        lazily = f" every {term.every} steps" if term.every > 1 else ""
        named.append(f"{name} {term.weight:g}{lazily}")
    named += [] if diffaugment == "none" else [f"diffaugment {diffaugment}"]
    return [f"regularizers: {', '.join(named)}"] if named else []
