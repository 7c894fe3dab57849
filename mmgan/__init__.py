"""Manifold Mixup for GAN discriminators and for classifiers (arXiv 1806.05236).

    from mmgan import Mixed, MixupTerm, RealFakePolicy      # a discriminator
    from mmgan import Mixed, PermutationPolicy              # a classifier

The names are loaded when first used, so that the command line can print its help without importing torch.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmgan.losses import (
        GAN_LOSSES,
        GANLoss,
        discriminator_losses,
        generator_loss,
        mixed_loss,
        real_fake_labels,
    )
    from mmgan.mixing import Inspection, Mixed, MixPlan, MixupTerm, PermutationPolicy, RealFakePolicy, Verdict

__all__ = [
    "GAN_LOSSES",
    "GANLoss",
    "Inspection",
    "MixPlan",
    "Mixed",
    "MixupTerm",
    "PermutationPolicy",
    "RealFakePolicy",
    "Verdict",
    "discriminator_losses",
    "generator_loss",
    "mixed_loss",
    "real_fake_labels",
]
__version__ = version("mmgan")

LOSSES = {"GAN_LOSSES", "GANLoss", "discriminator_losses", "generator_loss", "mixed_loss", "real_fake_labels"}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("mmgan.losses" if name in LOSSES else "mmgan.mixing"), name)
    raise AttributeError(f"module 'mmgan' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
