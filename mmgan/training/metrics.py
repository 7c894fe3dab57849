"""Losses of every step, read from the device every few steps, and the end of a training when one is not finite."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmgan.errors import Stopped, TrainingFailed
from mmgan.training.guard import Guard, Watch
from mmgan.training.tasks import LoopContext, Measure

LEAST_SCALE = 2.0**-14
"""fp16: below this loss scale, gradients overflow at every scale."""


class Metrics:
    """Keeps each step's losses on the device and brings them to the host together, so that no step waits for a copy.

    The row of a step whose updates were skipped lacks the losses that are not finite. It says in "skipped" how many
    updates were skipped, and in "non_finite" why. Losses are averaged over processes.

    Args:
        context: says who gets the rows, and how many steps may be skipped.
        guards: of the networks that are trained.
        watch: looks at all numbers before they go into a checkpoint, a score or a sample; None: nothing does.
    """

    def __init__(self, context: LoopContext, guards: Sequence[Guard], watch: Watch | None = None) -> None:
        self.context, self.guards, self.watch, self.skipped = context, guards, watch, 0
        self.facts: list[dict[str, Any]] = []
        self.values: list[Tensor] = []
        self.names: list[str] = []
        self.missing: list[set[str]] = []

    def add(self, facts: dict[str, Any], losses: Mapping[str, Tensor | None]) -> None:
        """Add one step.

        Args:
            facts: plain values, "step" among them.
            losses: scalars on the device, under the same names in every step; None: not computed in this one, so that
                its row lacks it.
        """
        self.names = self.names or list(losses)
        self.facts.append(facts)
        self.missing.append({name for name, value in losses.items() if value is None})
        guarded = [count for guard in self.guards for count in (guard.local, guard.skipped)]
        nothing = torch.zeros((), device=self.context.accelerator.device)
        values = [*(losses[name] for name in self.names), *guarded]
        columns = [nothing if value is None else value.detach().float() for value in values]
        self.values.append(torch.stack(columns))
        for guard in self.guards:
            guard.clear()

    def flush(self, measures: Sequence[Measure] = ()) -> None:
        """Pass on the steps since the last flush. All processes must call it.

        Args:
            measures: of the last of these steps, whose row gets their numbers.

        Raises:
            TrainingFailed: if more steps than may be skipped had a loss or gradient that is not finite; the message
                names the step, the term and the process. The steps before it are passed on.
        """
        if not self.values:
            return
        values = torch.stack(self.values)[None]  # (1, steps, columns)
        table = self.context.accelerator.gather(values).double().cpu()  # (processes, steps, columns)
        rows: list[dict[str, Any]] = []
        failure = None
        for facts, missing, step_values in zip(self.facts, self.missing, table.unbind(1), strict=True):
            row = facts | self._row(step_values, missing)
            self.skipped += "non_finite" in row
            if self.skipped > self.context.skip_non_finite:
                failure = f"{row['non_finite']} at step {row['step']}"
                break
            rows.append(row)
        self.facts, self.missing, self.values = [], [], []
        if measures and failure is None:
            self.require_finite(rows[-1]["step"])
            for measure in measures:
                rows[-1] |= measure.run(rows[-1]["step"])
        self.context.on_metrics(rows)
        if failure is not None:
            allowed = self.context.skip_non_finite
            limit = f" after {allowed} skipped steps" if allowed else ""
            raise TrainingFailed(
                f"{failure}: training stopped{limit}, earlier checkpoints are intact;"
                " a smaller --lr or --clip-grad may help"
            )
        scaler = self.context.accelerator.scaler
        if scaler is not None and scaler.get_scale() < LEAST_SCALE:
            raise TrainingFailed(
                f"the loss scale of fp16 fell to {scaler.get_scale():g} by step {rows[-1]['step']}, as gradients"
                " overflow at every scale: training stopped, earlier checkpoints are intact; try --mixed-precision bf16"
            )

    def finish_step(self, step: int, last: int) -> None:
        """Measure, flush if somebody needs the metrics now, run the tasks that are due, and stop if asked to.

        Args:
            step: the number of steps done; its metrics have been added.
            last: the number of steps after which training ends.

        Raises:
            TrainingFailed: as `flush`.
            Stopped: as `check_stop` of the context.
        """
        measures = [measure for measure in self.context.measures if measure.due(step, last)]
        due = [task for task in self.context.tasks if task.due(step, last)]
        if measures or due or step % self.context.log_every == 0 or step == last:
            self.flush(measures)
        if due:
            self.require_finite(step)
        for task in due:
            task.run(step)
        if step < last:
            try:
                self.context.check_stop()
            except Stopped:
                self.flush()  # the session saves a checkpoint, which needs them
                self.require_finite(step)
                raise

    def require_finite(self, step: int) -> None:
        """Stop the training if weights, averages or optimizers' states are not finite. All processes must call it.

        Raises:
            TrainingFailed: as `Watch.require`.
        """
        if self.watch is not None:
            self.watch.require(step)

    def _row(self, values: Tensor, missing: set[str]) -> dict[str, Any]:
        """What a step's (processes, columns) say."""
        losses = values[:, : len(self.names)]
        counts = values[:, len(self.names) :].reshape(len(values), -1, 2)  # (processes, guards, local or skipped)
        row = {
            name: mean
            for name, mean in zip(self.names, losses.mean(0).tolist(), strict=True)
            if math.isfinite(mean) and name not in missing
        }
        faults = _faults(self.names, ~losses.isfinite())
        faults = faults or _faults([f"the gradient of the {g.name}" for g in self.guards], counts[:, :, 0] > 0)
        skipped = int(counts[0, :, 1].sum())
        # Finite on each process, but not their sum.
        if not faults and skipped and self.context.accelerator.scaler is None:
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
