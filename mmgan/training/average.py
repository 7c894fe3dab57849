"""The exponential average of a network, and a copy of a network that training does not touch."""

import copy

from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def make_average(network: nn.Module, decay: float) -> AveragedModel | None:
    """average <- decay * average + (1 - decay) * network, of weights and BatchNorm statistics; None with decay 0."""
    if not decay:
        return None
    ema = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=ema, use_buffers=True)


def copied(network: nn.Module) -> nn.Module:
    """A deep copy, also where a forward has left a result in an attribute, as hooks of spectral norm do."""
    left = [
        value
        for module in network.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    ]
    return copy.deepcopy(network, {id(value): value.detach().clone() for value in left})


def frozen_copy(network: nn.Module, accelerator: Accelerator) -> nn.Module:
    """A copy to sample from or to evaluate: in eval mode, without gradients, the same on all processes.

    During training the running statistics of BatchNorm differ between processes. The copy has those of rank 0, so
    that its results do not depend on the process. Using it does not change the training.
    """
    frozen = copied(network).eval().requires_grad_(False)
    if accelerator.num_processes > 1:
        for tensor in [*frozen.parameters(), *frozen.buffers()]:
            tensor.data.copy_(broadcast(tensor.data, from_process=0))
    return frozen
