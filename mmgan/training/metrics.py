"""Losses of every step, read from the device every few steps, and the end of a training when one is not finite."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from mmgan.errors import TrainingFailed
from mmgan.training.guard import Guard

LEAST_SCALE = 2.0**-14
"""fp16: below this loss scale, gradients overflow at every scale."""


class Metrics:
    """Keeps each step's losses on the device and brings them to the host together, so that no step waits for a copy.

    Args:
        accelerator: the run's.
        guards: of the networks that are trained.
        on_metrics: gets the rows of the steps since its last call, on every process, losses averaged over processes.
            The row of a step whose updates were skipped lacks the losses that are not finite, and says in "skipped"
            how many updates, in "non_finite" why.
        skip_non_finite: how many steps may be skipped because of losses or gradients that are not finite.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        guards: Sequence[Guard],
        on_metrics: Callable[[list[dict[str, Any]]], None],
        skip_non_finite: int,
    ) -> None:
        self.accelerator, self.guards, self.on_metrics = accelerator, guards, on_metrics
        self.skip_non_finite, self.skipped = skip_non_finite, 0
        self.facts: list[dict[str, Any]] = []
        self.values: list[Tensor] = []
        self.names: list[str] = []

    def add(self, facts: dict[str, Any], losses: dict[str, Tensor]) -> None:
        """Add one step: `facts` are plain values ("step" among them), `losses` scalars on the device."""
        self.names = list(losses)
        self.facts.append(facts)
        guarded = [count for guard in self.guards for count in (guard.local, guard.skipped)]
        self.values.append(torch.stack([value.detach().float() for value in [*losses.values(), *guarded]]))
        for guard in self.guards:
            guard.clear()

    def flush(self) -> None:
        """Pass on the steps since the last flush. All processes must call it.

        Raises:
            TrainingFailed: if more steps than may be skipped had a loss or gradient that is not finite; the message
                names the step, the term and the process. The steps before it are passed on.
        """
        if not self.values:
            return
        values = torch.stack(self.values)[None]  # (1, steps, columns)
        table = self.accelerator.gather(values).double().cpu()  # (processes, steps, columns)
        rows: list[dict[str, Any]] = []
        failure = None
        for facts, step_values in zip(self.facts, table.unbind(1), strict=True):
            row = facts | self._row(step_values)
            self.skipped += "non_finite" in row
            if self.skipped > self.skip_non_finite:
                failure = f"{row['non_finite']} at step {row['step']}"
                break
            rows.append(row)
        self.facts, self.values = [], []
        self.on_metrics(rows)
        if failure is not None:
            limit = f" after {self.skip_non_finite} skipped steps" if self.skip_non_finite else ""
            raise TrainingFailed(
                f"{failure}: training stopped{limit}, earlier checkpoints stand; a smaller --lr or --clip-grad may help"
            )
        scaler = self.accelerator.scaler
        if scaler is not None and scaler.get_scale() < LEAST_SCALE:
            raise TrainingFailed(
                f"the loss scale of fp16 fell to {scaler.get_scale():g} by step {rows[-1]['step']}, as gradients"
                " overflow at every scale: training stopped, earlier checkpoints stand; try --mixed-precision bf16"
            )

    def _row(self, values: Tensor) -> dict[str, Any]:
        """What a step's (processes, columns) say."""
        losses = values[:, : len(self.names)]
        counts = values[:, len(self.names) :].reshape(len(values), -1, 2)  # (processes, guards, local or skipped)
        row = {
            name: mean for name, mean in zip(self.names, losses.mean(0).tolist(), strict=True) if math.isfinite(mean)
        }
        faults = _faults(self.names, ~losses.isfinite())
        faults = faults or _faults([f"the gradient of the {g.name}" for g in self.guards], counts[:, :, 0] > 0)
        skipped = int(counts[0, :, 1].sum())
        if not faults and skipped and self.accelerator.scaler is None:  # finite on each process, but not their sum
            faults = "a gradient's average over processes is not finite"
        return row | ({"skipped": skipped, "non_finite": faults} if faults else {})


def _faults(names: Sequence[str], bad: Tensor) -> str:
    """(processes, names) of flags in words; empty where none is set."""
    found = [name for name, flags in zip(names, bad.T, strict=True) if flags.any()]
    # loss_d is the sum of loss_d_real and others: the part says more than the sum.
    parts = [name for name in found if not any(other.startswith(f"{name}_") for other in found)]
    if not parts:
        return ""
    processes = [str(p) for p, flags in enumerate(bad) if flags.any()]
    where = f"process{'es' if len(processes) > 1 else ''} {', '.join(processes)}"
    return f"{' and '.join(parts)} {'are' if len(parts) > 1 else 'is'} not finite on {where}"
