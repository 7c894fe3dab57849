"""LeCam regularization for limited data (Tseng et al. 2021, arXiv 2104.03310, Equations 5 and 6).

    R = E ||D(x) - a_fake||^2 + E ||D(G(z)) - a_real||^2

a_real and a_fake are exponential moving averages of the mean logits of real and fake rows.
"""

from typing import ClassVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from mmgan.outputs import heads, sum_heads, wide
from mmgan.regularizers.regularizer import Regularizer
from mmgan.regularizers.step import Step


class LeCam(Regularizer):
    """The distance of the logits from the other side's moving average.

    The averages are those of the steps before: they begin as the means of the first step, whose term is 0, and each
    step moves them after its term is computed. They are the same on all processes, which exchange their means where
    torch.distributed runs; with gradient accumulation they move once a step. The authors' code differs: it squares only
    the positive parts of D(x) - a_fake and a_real - D(G(z)), and moves the averages first.

    All state is in buffers. A step that is skipped restores them, as it restores the statistics of a BatchNorm.

    Args:
        weight: lambda; 0.3 for BigGAN on CIFAR, 0.01 on ImageNet in the paper.
        decay: gamma of the averages, in [0, 1).
        outputs: how many heads the discriminator has; each has its own averages.

    Attributes:
        averages: (2, heads), of real and of fake rows.

    Raises:
        ValueError: for a setting out of range.
    """

    name: ClassVar[str] = "lecam"
    averages: Tensor
    updates: Tensor
    pending: Tensor
    slices: Tensor

    def __init__(self, weight: float, decay: float = 0.99, outputs: int = 1) -> None:
        super().__init__(weight)
        if not 0 <= decay < 1:
            raise ValueError(f"the decay of {self.name} lies in [0, 1), not {decay}")
        if outputs < 1:
            raise ValueError(f"a discriminator has 1 or more heads, not {outputs}")
        self.decay = decay
        self.register_buffer("averages", torch.zeros(2, outputs))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("pending", torch.zeros(2, outputs))  # sum of the means of this step's slices so far
        self.register_buffer("slices", torch.zeros((), dtype=torch.int64))  # how many slices that is

    def value(self, step: Step) -> Float[Tensor, ""]:
        """The term against the averages before this step, which it then moves.

        Raises:
            ValueError: if the logits have another number of heads.
        """
        real, fake = ([wide(head) for head in heads(logits)] for logits in (step.real_logits, step.fake_logits))
        if not len(real) == len(fake) == self.averages.shape[1]:
            got = f"{len(real)} heads: LeCam(weight, outputs={len(real)})"
            raise ValueError(f"{self.name} was built for {self.averages.shape[1]} heads, but the logits have {got}")
        average_real, average_fake = self.averages.clone()  # (heads,) each
        terms = [(r - a).square().mean() for r, a in zip(real, average_fake, strict=True)]
        terms += [(f - a).square().mean() for f, a in zip(fake, average_real, strict=True)]
        value = sum_heads(terms)
        value = torch.where(self.updates > 0, value, torch.zeros_like(value))
        self._move([torch.stack([head.detach().mean() for head in side]) for side in (real, fake)], step.last)
        return value

    @torch.no_grad()
    def _move(self, means: list[Tensor], last: bool) -> None:
        self.pending += torch.stack(means)  # (2, heads)
        self.slices += 1
        if not last:
            return
        mean = mean_over_processes(self.pending / self.slices)
        moved = self.decay * self.averages + (1 - self.decay) * mean
        self.averages.copy_(torch.where(self.updates > 0, moved, mean))
        self.updates += 1
        self.pending.zero_()
        self.slices.zero_()

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, decay={self.decay}, outputs={self.averages.shape[1]}"


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of a tensor over the processes of torch.distributed; the tensor itself where there is one process."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        values = values.clone()
        dist.all_reduce(values)
        values /= dist.get_world_size()
    return values
