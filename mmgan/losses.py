"""Losses of logits against soft labels.

A GAN loss is three functions of logits, and `soft` interpolates two of them: with softplus that is binary
cross-entropy against a soft label (Appendix E), and the same line serves the other losses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

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

    def soft(self, logits: Float[Tensor, " n"], target: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """target * real(logits) + (1 - target) * fake(logits), for targets in [0, 1].

        Raises:
            ValueError: if logits and target differ in shape, as (n, 1) and (n,) would broadcast to (n, n).
        """
        _check_shapes(logits, target)
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


def discriminator_losses(
    loss: GANLoss, logits: Float[Tensor, " rows"], mixed_labels: Float[Tensor, " m"], mix_weight: float = 1.0
) -> DiscriminatorLosses:
    """Equation 6: soft(real rows, 1) + soft(fake rows, 0) + w * soft(mixed rows, y(lam; x1, x2)), each term a mean.

    Args:
        loss: what the logits cost.
        logits: (2B + M,), B real rows, B fake rows, M mixed rows, as `Mixed(...)(x, plan, append=True)` returns them.
        mixed_labels: (M,), `plan.mix(real_fake_labels(B))`; M may be 0.
        mix_weight: w.

    Raises:
        ValueError: if logits are not (2B + M,) with B of at least 1.
    """
    m = len(mixed_labels)
    if logits.dim() != 1 or len(logits) - m < 2 or (len(logits) - m) % 2:
        raise ValueError(f"logits must be (2B + M,) with M = {m} mixed labels, not {tuple(logits.shape)}")
    b = (len(logits) - m) // 2
    real = loss.real(logits[:b]).mean()
    fake = loss.fake(logits[b : 2 * b]).mean()
    if m == 0:
        return DiscriminatorLosses(real, fake, torch.zeros_like(real), real + fake)
    mixed = loss.soft(logits[2 * b :], mixed_labels).mean()
    return DiscriminatorLosses(real, fake, mixed, real + fake + mix_weight * mixed)


ClassifierLossName = Literal["ce", "bce"]


def soft_cross_entropy(logits: Float[Tensor, "n c"], target: Float[Tensor, "n c"]) -> Float[Tensor, ""]:
    """-sum_c target_c log softmax(logits)_c, averaged over rows: NLL against one-hot or mixed labels.

    Raises:
        ValueError: if logits and target differ in shape; class indices are made one-hot first.
    """
    _check_shapes(logits, target)
    return -(target * F.log_softmax(logits, dim=1)).sum(dim=1).mean()


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
