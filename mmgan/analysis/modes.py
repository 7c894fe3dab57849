"""Measuring must not change what is measured."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluation_mode(predict: object) -> Iterator[None]:
    """Inside the block `predict`, if it is a module, is in evaluation mode; afterwards each submodule is as it was.

    Modules are put back one by one: `train()` on the whole would thaw the BatchNorm that somebody froze. A callable
    that is no module (a lambda around one) cannot be looked into: whoever wrote it sees to the mode.
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
