"""Modes of a network for a block of code, so that what runs in it does not change the network."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm


@contextmanager
def evaluation_mode(predict: object) -> Iterator[None]:
    """Run the block with `predict`, if it is a module, in evaluation mode; then restore each submodule's mode.

    Modes are restored one by one: `train()` on the whole module would unfreeze a frozen BatchNorm. For a callable that
    is not a module (such as a lambda around one) the caller sets the mode.
    """
    modules = list(predict.modules()) if isinstance(predict, nn.Module) else []
    training = [module.training for module in modules]
    try:
        if isinstance(predict, nn.Module):
            predict.eval()
        yield
    finally:
        for module, was_training in zip(modules, training, strict=True):
            module.training = was_training


@contextmanager
def spectral_norms_at_rest(*networks: nn.Module) -> Iterator[None]:
    """Run the block without power iterations: spectral norms keep the vectors that they have.

    Both of torch's forms are meant, the parametrization and the older hook. No module changes its mode.
    """
    norms = [norm for network in networks for module in network.modules() for norm in _spectral_norms(module)]
    counts = [norm.n_power_iterations for norm in norms]
    try:
        for norm in norms:
            norm.n_power_iterations = 0
        yield
    finally:
        for norm, count in zip(norms, counts, strict=True):
            norm.n_power_iterations = count


def _spectral_norms(module: nn.Module) -> list[_SpectralNorm | SpectralNorm]:
    """The module itself, or the hooks of the older form on it."""
    if isinstance(module, _SpectralNorm):
        return [module]
    return [hook for hook in module._forward_pre_hooks.values() if isinstance(hook, SpectralNorm)]
