"""Manifold Mixup for GAN discriminators and for classifiers (arXiv 1806.05236).

    from mmgan import Mixed, MixupTerm, RealFakePolicy      # a discriminator
    from mmgan import Mixed, PermutationPolicy              # a classifier
    mmgan.train_gan(data=dataset, mix="1,2,pixel")          # a whole run

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
    from mmgan.python.load import load_generator
    from mmgan.python.score import score
    from mmgan.python.train import train_gan

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
    "load_generator",
    "mixed_loss",
    "real_fake_labels",
    "score",
    "train_gan",
]
__version__ = version("mmgan")

LOSSES = {"GAN_LOSSES", "GANLoss", "discriminator_losses", "generator_loss", "mixed_loss", "real_fake_labels"}
CALLS = {"load_generator": "mmgan.python.load", "score": "mmgan.python.score"}


def __getattr__(name: str) -> Any:
    if name == "train_gan":  # the program, which is the function too
        return import_module("mmgan.train_gan")
    if name in __all__:
        place = CALLS.get(name) or ("mmgan.losses" if name in LOSSES else "mmgan.mixing")
        return getattr(import_module(place), name)
    raise AttributeError(f"module 'mmgan' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
