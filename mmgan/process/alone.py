"""A training that one process runs while others wait for it."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn


class Alone:
    """The part of an Accelerator that a training loop uses, for this process alone, in full precision.

    Accelerate keeps one state for the whole program. In a run of several processes, an Accelerator whose sums do not
    wait for the other processes is not available.
    """

    process_index = 0
    num_processes = 1
    scaler = None

    def __init__(self, device: torch.device | str) -> None:
        self.device = torch.device(device)

    def unwrap_model(self, model: nn.Module, keep_fp32_wrapper: bool = True) -> nn.Module:
        return model

    def autocast(self) -> AbstractContextManager[None]:
        return nullcontext()

    def no_sync(self, model: nn.Module) -> AbstractContextManager[None]:
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]

    def clip_grad_norm_(self, parameters: Any, max_norm: float) -> Tensor:
        return torch.nn.utils.clip_grad_norm_(parameters, max_norm)

    def reduce(self, tensor: Tensor, reduction: str) -> Tensor:
        return tensor

    def gather(self, tensor: Tensor) -> Tensor:
        return tensor
