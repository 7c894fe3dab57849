"""What the discriminator and the generator minimise, as functions of logits."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from mmgan.config.gan import GanMixSettings
from mmgan.losses import GAN_LOSSES, GANLoss, consistency_loss, discriminator_losses, generator_loss
from mmgan.mixing.plan import MixPlan
from mmgan.nests import map_nest
from mmgan.outputs import heads
from mmgan.relativistic import RELATIVISTIC, PairLoss

Loss = GANLoss | PairLoss


def find_loss(name: str) -> Loss:
    """The loss that the setting names."""
    return RELATIVISTIC if name == "relativistic" else GAN_LOSSES[name]  # type: ignore[index]


def discriminator_objective(loss: Loss, logits: Any, plan: MixPlan, mix: GanMixSettings) -> dict[str, Tensor]:
    """The discriminator's loss without regularizers, "loss_d", and its terms by their names in metrics.

    Args:
        loss: of labelled rows (Equation 6), or of pairs of rows.
        logits: of b real, b fake and M mixed rows, a nest.
        plan: by which the rows were mixed.
        mix: the target of mixed rows, and the weight of their term.
    """
    on_real, on_fake, on_mixed = plan.split(logits)  # (b,), (b,), (m,)
    if isinstance(loss, GANLoss) and mix.mix_target != "consistency":
        losses = discriminator_losses(loss, on_real, on_fake, on_mixed, plan, mix.mix_target, mix.mix_weight)
        terms = {"loss_d_real": losses.real, "loss_d_fake": losses.fake, "loss_d_mixed": losses.mixed}
        return {"loss_d": losses.total} | terms
    if isinstance(loss, GANLoss):
        nothing = map_nest(lambda _, leaf: leaf[:0], on_mixed)
        losses = discriminator_losses(loss, on_real, on_fake, nothing, plan)
        total, terms = losses.total, {"loss_d_real": losses.real, "loss_d_fake": losses.fake}
    else:
        total = loss.discriminator(on_real, on_fake).mean()
        terms = {"loss_d_pairs": total}
    rows = plan.rows // plan.pack
    on_mixed_rows = consistency_loss(on_mixed, map_nest(lambda _, leaf: leaf[:rows], logits), plan)
    total = total + mix.mix_weight * on_mixed_rows if len(plan) else total
    return {"loss_d": total} | terms | {"loss_d_mixed": on_mixed_rows}


def generator_objective(loss: Loss, on_fake: Any, on_real: Any = None) -> Float[Tensor, ""]:
    """The generator's loss without regularizers.

    Args:
        loss: of labelled rows, or of pairs of rows.
        on_fake: logits of n fake rows, a nest.
        on_real: for pairs, logits of m real rows, where n is a multiple of m: fake row i meets real row i mod m.
    """
    if isinstance(loss, GANLoss):
        return generator_loss(loss, on_fake)
    times = len(heads(on_fake)[0]) // len(heads(on_real)[0])
    on_real = map_nest(lambda _, leaf: leaf.repeat(times, *[1] * (leaf.dim() - 1)), on_real)  # (n, ...)
    return loss.generator(on_real, on_fake).mean()
