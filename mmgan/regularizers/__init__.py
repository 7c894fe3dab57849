"""Regularizers of a discriminator: terms of its loss, and differentiable augmentation.

    regularizers = Regularizers([R1(10, every=16), LeCam(0.3)])
    real, fake = regularizers.differentiable(t, real, fake)        # before the discriminator's forward
    ...
    penalty, values = regularizers(Step(real, fake, real_logits, fake_logits, discriminator, number=t))
    loss_d = loss_d + penalty                                      # values: {"r1": ..., "lecam": ...}, for the log

R1 and R2 are functions too: `loss_d = loss_d + gamma * r1(real_logits, real)`.
"""

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
    "r1",
    "r2",
]
