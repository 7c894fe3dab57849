"""Regularizers of a discriminator: terms of its loss, and differentiable augmentation.

    regularizers = Regularizers([R1(10, every=16), LeCam(0.3)])
    real, fake = regularizers.differentiable(t, real, fake)        # before the discriminator's forward
    ...
    penalty, values = regularizers(Step(real, fake, real_logits, fake_logits, discriminator, number=t))
    loss_d = loss_d + penalty                                      # values: {"r1": ..., "lecam": ...}, for the log

R1 and R2 are functions too: `loss_d = loss_d + gamma * r1(real_logits, real)`.
"""

from mmgan.config.gan import GanRegularizerSettings
from mmgan.regularizers.bcr import BCR
from mmgan.regularizers.diffaugment import DiffAugment
from mmgan.regularizers.gradient_penalty import GradientPenalty
from mmgan.regularizers.lecam import LeCam
from mmgan.regularizers.regularizer import Regularizer, Regularizers
from mmgan.regularizers.step import Step
from mmgan.regularizers.zcr import ZCR
from mmgan.regularizers.zero_centered import R1, R2, r1, r2

__all__ = [
    "BCR",
    "R1",
    "R2",
    "ZCR",
    "DiffAugment",
    "GradientPenalty",
    "LeCam",
    "Regularizer",
    "Regularizers",
    "Step",
    "make_regularizers",
    "r1",
    "r2",
]


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
