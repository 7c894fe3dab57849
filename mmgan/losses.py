"""Losses of logits against soft labels.

A GAN loss is three functions of logits, and `soft` interpolates two of them: with softplus that is binary
cross-entropy against a soft label (Appendix E), and the same line serves the other losses.

Logits may be a tensor (n,), (n, 1), a map (n, 1, h, w), or a tuple, list or dict of them, one for each head
(`mmgan.outputs`). A row's cost is the mean over its map, and the sum over the heads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mmgan.nests import map_nest
from mmgan.outputs import costs, heads, per_row_of_pairs

PerRow = Callable[[Tensor], Tensor]


def _check_shapes(logits: Tensor, target: Tensor) -> None:
    if logits.shape != target.shape:
        raise ValueError(f"logits {tuple(logits.shape)} need a target of the same shape, not {tuple(target.shape)}")


@dataclass(frozen=True)
class GANLoss:
    """What a discriminator's logits cost, row by row.

    Attributes:
        real: cost of taking a row for fake when it is real.
        fake: cost of taking a row for real when it is fake.
        generator: cost of a fake row to the generator.
    """

    real: PerRow
    fake: PerRow
    generator: PerRow

    def soft(self, logits: Float[Tensor, "..."], target: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """target * real(logits) + (1 - target) * fake(logits), for targets in [0, 1].

        Raises:
            ValueError: unless each position of the logits has a target, which may be that of its row: (n, 1, ...).
        """
        spread = logits.dim() == target.dim() and all(
            t in (n, 1) for n, t in zip(logits.shape, target.shape, strict=True)
        )
        if not spread or logits.shape[:1] != target.shape[:1]:
            raise ValueError(f"logits {tuple(logits.shape)} need a target of the same shape, not {tuple(target.shape)}")
        return target * self.real(logits) + (1 - target) * self.fake(logits)


GANLossName = Literal["jsgan", "jsgan-saturating", "hinge", "least-squares", "wasserstein"]

GAN_LOSSES: dict[GANLossName, GANLoss] = {
    # Goodfellow et al. 2014 with the alternative cost of G; Miyato et al. 2018 and the paper's baseline.
    "jsgan": GANLoss(real=lambda d: F.softplus(-d), fake=F.softplus, generator=lambda d: F.softplus(-d)),
    # max_g min_d as Equations 3 and 5 have it: G minimises log(1 - D).
    "jsgan-saturating": GANLoss(real=lambda d: F.softplus(-d), fake=F.softplus, generator=lambda d: -F.softplus(d)),
    # Miyato et al. 2018, Equations 16 and 17.
    "hinge": GANLoss(real=lambda d: F.relu(1 - d), fake=lambda d: F.relu(1 + d), generator=lambda d: -d),
    # Mao et al. 2017, Equation 9: a = 0, b = c = 1.
    "least-squares": GANLoss(
        real=lambda d: (d - 1).square() / 2, fake=lambda d: d.square() / 2, generator=lambda d: (d - 1).square() / 2
    ),
    # Arjovsky et al. 2017; the Lipschitz bound is the spectral norm's.
    "wasserstein": GANLoss(real=lambda d: -d, fake=lambda d: d, generator=lambda d: -d),
}


@dataclass(frozen=True)
class DiscriminatorLosses:
    """The terms of Equation 6, each a mean over its rows; `mixed` is 0 where nothing was mixed."""

    real: Float[Tensor, ""]
    fake: Float[Tensor, ""]
    mixed: Float[Tensor, ""]
    total: Float[Tensor, ""]


def weighted_mean(values: Float[Tensor, " n"], weight: Float[Tensor, " n"] | None) -> Float[Tensor, ""]:
    """The mean over rows; with weights of 0 and 1 over the rows of weight 1, and 0 where there are none."""
    return values.mean() if weight is None else (weight * values).sum() / weight.sum().clamp(min=1)


def generator_loss(loss: GANLoss, fake: Any) -> Float[Tensor, ""]:
    """The mean cost of fake rows to the generator, in float32.

    Args:
        loss: what the logits cost.
        fake: the discriminator's logits of fake rows, a nest.
    """
    return costs(loss.generator, fake).mean()


class Pairs(Protocol):
    """What a loss asks of a plan; `mmgan.MixPlan` is one."""

    @property
    def parts(self) -> tuple[int, ...]: ...

    @property
    def weight(self) -> Tensor | None: ...

    def of_outputs(self) -> "Pairs": ...

    def mix_labels(self, labels: Tensor, like: Tensor | None = None) -> Tensor: ...

    def mix_outputs(self, outputs: Tensor) -> Tensor: ...


Label = Literal["paper", "fake"]


def real_fake_labels(batch_size: int, device: torch.device | str | None = None) -> Float[Tensor, " rows"]:
    """The labels of b real rows on b fake rows: (2b,) float32, ones and then zeros (Appendix E)."""
    labels = torch.zeros(2 * batch_size, device=device)
    labels[:batch_size] = 1
    return labels


def mixed_loss(loss: GANLoss, mixed: Any, plan: Pairs, label: Label = "paper") -> Float[Tensor, ""]:
    """The mean over mixed rows of soft(logits, y(lam; x1, x2)), in float32 (Equation 6).

    Args:
        loss: what the logits cost.
        mixed: logits of the M mixed rows, a nest; with M = 0, the baseline "none", the loss is 0.
        plan: by which they were mixed, over real rows stacked on fake rows. Pairs of weight 0 do not count.
        label: "paper", the label y(lam; x1, x2) of Appendix E; "fake", 0 for every mixed row, as the released code has
            it.
    """
    first = heads(mixed)[0]
    if not any(len(head) for head in heads(mixed)):
        return first.new_zeros((), dtype=torch.float32)
    plan = plan.of_outputs()
    labels = real_fake_labels(plan.parts[0], first.device)  # (2b,)
    if label == "fake":
        labels = torch.zeros_like(labels)
    return weighted_mean(
        costs(lambda head: loss.soft(head, plan.mix_labels(labels.to(head.dtype), head)), mixed), plan.weight
    )


def consistency_loss(mixed: Any, outputs: Any, plan: Pairs) -> Float[Tensor, ""]:
    """The mean over mixed rows of (mixed - mix of the two rows' own outputs)^2, in float32.

    The target of relativistic losses, in which a mixed row has no label; it goes with the others too.

    The gradient reaches both sides, so that a constant on all outputs has none. With detached targets the term would
    push the level of the outputs, the targets would follow, and no relativistic loss holds the level: they run away.

    Args:
        mixed: outputs of the M mixed rows, a nest; with M = 0 the loss is 0.
        outputs: of the rows that were mixed, 2b of them, real rows first.
        plan: by which they were mixed.
    """
    first = heads(mixed)[0]
    if not any(len(head) for head in heads(mixed)):
        return first.new_zeros((), dtype=torch.float32)
    plan = plan.of_outputs()
    wanted = map_nest(lambda _, leaf: plan.mix_outputs(leaf), outputs)
    return squared_error(mixed, wanted, plan.weight)


def squared_error(mixed: Any, wanted: Any, weight: Float[Tensor, " m"] | None = None) -> Float[Tensor, ""]:
    """The mean over mixed rows of (mixed - wanted)^2, a mean over maps and a sum over heads, in float32.

    Args:
        mixed: outputs of the M mixed rows, a nest.
        wanted: as `mixed`, what they are to be.
        weight: (M,), `plan.weight`.

    Raises:
        ValueError: if a head's shapes differ.
    """
    return weighted_mean(per_row_of_pairs(torch.square, mixed, wanted), weight)


def discriminator_losses(
    loss: GANLoss,
    real: Any,
    fake: Any,
    mixed: Any,
    plan: Pairs,
    label: Label = "paper",
    mix_weight: float = 1.0,
) -> DiscriminatorLosses:
    """Equation 6: soft(real rows, 1) + soft(fake rows, 0) + w * soft(mixed rows, y(lam; x1, x2)), each term a mean.

        real, fake, mixed = plan.split(net(x, plan=plan, mode="append"))
        losses = discriminator_losses(GAN_LOSSES["hinge"], real, fake, mixed, plan)

    Args:
        loss: what the logits cost.
        real, fake, mixed: nests of logits of b, b and M rows; M may be 0.
        plan, label: as `mixed_loss` takes them.
        mix_weight: w.
    """
    on_real, on_fake = costs(loss.real, real).mean(), costs(loss.fake, fake).mean()
    on_mixed = mixed_loss(loss, mixed, plan, label)
    total = on_real + on_fake + mix_weight * on_mixed if any(len(head) for head in heads(mixed)) else on_real + on_fake
    return DiscriminatorLosses(on_real, on_fake, on_mixed, total)


ClassifierLossName = Literal["ce", "bce"]


def soft_cross_entropy(logits: Float[Tensor, "n c"], target: Float[Tensor, "n c"]) -> Float[Tensor, ""]:
    """-sum_c target_c log softmax(logits)_c, averaged over rows: NLL against one-hot or mixed labels.

    Raises:
        ValueError: if logits and target differ in shape; class indices are made one-hot first.
    """
    _check_shapes(logits, target)
    return F.cross_entropy(logits, target)


def softmax_bce(logits: Float[Tensor, "n c"], target: Float[Tensor, "n c"]) -> Float[Tensor, ""]:
    """Binary cross-entropy of softmax(logits) against soft labels, averaged over rows and classes (Figures 6 and 7).

    What the released code trains with, the baseline included. The mean over C classes makes its gradient about
    1 / (C - 1) of cross-entropy's: the two are not interchangeable at one learning rate. log(1 - p) is computed without
    cancellation for the largest p, where the usual form is clamped and loses its gradient.

    Raises:
        ValueError: if logits and target differ in shape; class indices are made one-hot first.
    """
    _check_shapes(logits, target)
    log_p = F.log_softmax(logits, dim=1)  # (n, c)
    top = F.one_hot(log_p.argmax(dim=1), log_p.shape[1]).bool()  # (n, c)
    log_rest = log_p.masked_fill(top, -torch.inf).logsumexp(dim=1, keepdim=True)  # (n, 1): log(1 - p) of the largest p
    log_not_p = torch.where(top, log_rest, torch.log1p(-log_p.exp().masked_fill(top, 0.0)))  # (n, c)
    return -(target * log_p + (1 - target) * log_not_p).mean()


CLASSIFIER_LOSSES: dict[ClassifierLossName, Callable[[Tensor, Tensor], Tensor]] = {
    "ce": soft_cross_entropy,
    "bce": softmax_bce,
}
