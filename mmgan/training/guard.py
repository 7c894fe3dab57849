"""No number that is not finite reaches a weight, an optimizer's state or a running statistic.

Nothing here waits for the device. Whether an update is bad stays a tensor on the device. The optimizer is a fused one
and changes nothing where that tensor says so. The host reads what happened together with the losses, every few steps
(`mmgan.training.metrics`).

Nothing is communicated either. A process whose loss is not finite makes its gradients NaN. Their average over processes
is then NaN on all of them, so that all skip the update.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

from mmgan.errors import TrainingFailed

INFINITY = float("inf")


class Guard:
    """A network's updates by its optimizer; at most one in flight.

    With fp16 torch's GradScaler skips updates by itself. Gradients that overflow at one loss scale are no reason to
    stop and are not counted in `local`. Losses are watched in any case.

    Attributes:
        name: the network's, in messages.
        local: how many updates since `clear` had gradients that are not finite on this process.
        skipped: how many updates since `clear` were skipped, the same on all processes.

    Args:
        name: the network's.
        network: as `accelerator.prepare` returned it.
        optimizer: of its parameters, fused.
        accelerator: the run's.
        clip: largest norm of the gradient; 0: not clipped.
    """

    def __init__(
        self, name: str, network: nn.Module, optimizer: torch.optim.Optimizer, accelerator: Accelerator, clip: float
    ) -> None:
        self.name, self.optimizer, self.accelerator, self.clip = name, optimizer, accelerator, clip
        self.parameters = list(network.parameters())
        self.local, self.skipped = (torch.zeros((), device=accelerator.device) for _ in range(2))
        # Only this hook sees a process's own gradients: after DDP has averaged, all processes have the same.
        self._unshared: Tensor | None = None
        if isinstance(network, DistributedDataParallel):
            self._unshared = torch.zeros((), dtype=torch.bool, device=accelerator.device)
            network.register_comm_hook(self._unshared, _note_and_average)

    def backward(self, loss: Float[Tensor, ""]) -> None:
        """Compute gradients and add them to those of earlier slices of the same step."""
        # Times 1 where the loss is finite, which changes no bit; times NaN where it is not.
        self.accelerator.backward(loss * (loss.detach() * 0 + 1))

    def update(self, loss: Float[Tensor, ""]) -> None:
        """Compute gradients, and step the optimizer if loss and gradients are finite on all processes."""
        self.backward(loss)
        bad = ~_are_finite(p.grad for p in self.parameters if p.grad is not None)
        local = bad if self._unshared is None else self._unshared.clone()
        if self._unshared is not None:
            self._unshared.zero_()
        if self.clip:
            self.accelerator.clip_grad_norm_(self.parameters, self.clip)
        if self.accelerator.scaler is None:
            # GradScaler's way to tell a fused optimizer: with 1 it leaves weights and state as they are.
            plain: Any = getattr(self.optimizer, "optimizer", self.optimizer)
            plain.grad_scale, plain.found_inf = None, bad.float()
            self.local += local
        self.skipped += bad
        self.optimizer.step()
        self.optimizer.zero_grad()

    def clear(self) -> None:
        """Forget the updates so far."""
        self.local, self.skipped = torch.zeros_like(self.local), torch.zeros_like(self.skipped)


class Watch:
    """Whether all numbers of a training are finite: weights, buffers, averages, and the optimizers' states.

    A guard stops gradients that are not finite. A finite gradient may still make an update that overflows, and its
    square a second moment that does. A fused optimizer has written the result before anybody can look. But what became
    infinite or NaN stays so: sums, decays and interpolations of it are never finite again. So a step notes nothing and
    costs nothing; it is enough to look before the numbers go anywhere.

    Buffers that were not finite at the start, such as a mask, are left out.

    Args:
        networks, optimizers: of the training, by name.
        accelerator: the run's.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        accelerator: Accelerator,
    ) -> None:
        self.networks, self.optimizers, self.accelerator = networks, optimizers, accelerator
        self.masks = {
            id(buffer)
            for network in networks.values()
            for buffer in network.buffers()
            if buffer.is_floating_point() and not buffer.isfinite().all()
        }

    def require(self, step: int) -> None:
        """Stop the training if a number is not finite on any process. All processes must call it.

        Args:
            step: the number of steps done.

        Raises:
            TrainingFailed: naming what holds such a number.
        """
        watched = {f"the weights of {name}": self._tensors(network) for name, network in self.networks.items()}
        for name, optimizer in self.optimizers.items():
            states = [value for state in optimizer.state.values() for value in state.values()]
            watched[f"the state of {name}"] = [value for value in states if isinstance(value, Tensor)]
        flags = torch.stack([~_are_finite(tensors) for tensors in watched.values()])  # (k,)
        bad = self.accelerator.gather(flags[None]).any(0).tolist()  # (processes, k) -> (k,)
        found = [what for what, is_bad in zip(watched, bad, strict=True) if is_bad]
        if found:
            raise TrainingFailed(
                f"{' and '.join(found)} {'are' if len(found) > 1 or 'weights' in found[0] else 'is'} not finite by step"
                f" {step}, as an update overflowed: training stopped, earlier checkpoints are intact; a smaller --lr or"
                " --clip-grad may help"
            )

    def _tensors(self, network: nn.Module) -> list[Tensor]:
        found = [*network.parameters(), *(b for b in network.buffers() if id(b) not in self.masks)]
        return [tensor.detach() for tensor in found if tensor.is_floating_point()]


class RunningStatistics:
    """The buffers that a forward in training mode changes, such as those of BatchNorm."""

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        # Not those of parametrizations: a spectral norm's vectors depend on the weights alone.
        self.buffers = [
            buffer
            for network in networks
            for name, buffer in network.named_buffers()
            if "parametrizations" not in name.split(".")
        ]
        self.kept = [buffer.clone() for buffer in self.buffers]

    def keep(self) -> None:
        """Remember the current values."""
        if self.buffers:
            torch._foreach_copy_(self.kept, self.buffers)

    def restore(self, where: Bool[Tensor, ""]) -> None:
        """Put the remembered values back where the flag is set."""
        for buffer, kept in zip(self.buffers, self.kept, strict=True):
            buffer.copy_(torch.where(where, kept, buffer))


def _are_finite(gradients: Iterable[Tensor]) -> Bool[Tensor, ""]:
    norm: Tensor = torch.nn.utils.get_total_norm(list(gradients), INFINITY)  # the largest magnitude cannot overflow
    return norm.isfinite()


def _note_and_average(
    unshared: Tensor,
    bucket: dist.GradBucket,  # type: ignore[name-defined]
) -> torch.futures.Future[Tensor]:
    """A communication hook of DDP: note whether a bucket holds NaN or infinity, then average as DDP does."""
    unshared.logical_or_(~torch.linalg.vector_norm(bucket.buffer(), INFINITY).isfinite())
    return allreduce_hook(dist.group.WORLD, bucket)  # type: ignore[arg-type]
