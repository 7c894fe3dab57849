"""Manifold Mixup for GAN discriminators and for classifiers (arXiv 1806.05236).

    from mmgan import Mixed, RealFakePolicy, real_fake_labels      # a discriminator
    from mmgan import Mixed, PermutationPolicy                     # a classifier

The names are loaded when first used, so that the command line can print its help without importing torch.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmgan.mixing import Mixed, MixPlan, PermutationPolicy, RealFakePolicy, real_fake_labels

__all__ = ["MixPlan", "Mixed", "PermutationPolicy", "RealFakePolicy", "real_fake_labels"]
__version__ = version("mmgan")


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("mmgan.mixing"), name)
    raise AttributeError(f"module 'mmgan' has no attribute '{name}'")
