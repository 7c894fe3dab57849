"""Losses of every step, read from the device once in a while."""

from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from mmgan.errors import TrainingFailed


class Metrics:
    """Keeps each step's losses on the device and brings them to the host together, so that no step waits for a copy."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.facts: list[dict[str, Any]] = []
        self.values: list[Tensor] = []
        self.names: list[str] = []

    def add(self, facts: dict[str, Any], losses: dict[str, Tensor]) -> None:
        """Note one step: `facts` are plain values ("step" among them), `losses` scalars on the device."""
        self.names = list(losses)
        self.facts.append(facts)
        self.values.append(torch.stack([value.detach().float() for value in losses.values()]))

    def flush(self) -> list[dict[str, Any]]:
        """The steps since the last flush as plain rows, losses averaged over processes.

        Raises:
            TrainingFailed: if a loss is not finite; the message names the step and the term.
        """
        if not self.values:
            return []
        values = self.accelerator.reduce(torch.stack(self.values), reduction="mean").tolist()  # (steps, names)
        rows = [fact | dict(zip(self.names, row, strict=True)) for fact, row in zip(self.facts, values, strict=True)]
        self.facts, self.values = [], []
        for row in rows:
            for name in self.names:
                if not abs(row[name]) < float("inf"):
                    raise TrainingFailed(
                        f"{name} is {row[name]} at step {row['step']}: training stopped, earlier checkpoints stand;"
                        " a smaller --lr or --clip-grad may help"
                    )
        return rows
