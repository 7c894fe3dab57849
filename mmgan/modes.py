"""Measuring must not change what is measured."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluation_mode(predict: object) -> Iterator[None]:
    """Run the block with `predict`, if it is a module, in evaluation mode; then put each submodule back as it was.

    Modules are put back one by one: `train()` on the whole would thaw a BatchNorm that somebody froze. A callable that
    is no module (such as a lambda around one) cannot be inspected; its author sets the mode.
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
