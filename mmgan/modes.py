"""Evaluation mode for a block, so that measuring does not change the network."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


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
