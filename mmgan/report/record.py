"""What a run folder says about its run."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mmgan.errors import UserError
from mmgan.runs.folder import RunFolder

Content = TypeVar("Content")


@dataclass(frozen=True)
class Record:
    """A run as its folder describes it.

    Attributes:
        folder: where it lies.
        config: the flat settings of config.yaml.
        metrics: the rows of metrics.jsonl, oldest first.
        scores: what scores.json holds, or nothing.
        grids: sample grids by step, oldest first.
    """

    folder: RunFolder
    config: Mapping[str, Any]
    metrics: list[dict[str, Any]]
    scores: Mapping[str, Any]
    grids: dict[int, Path]

    @property
    def is_classifier(self) -> bool:
        return "epochs" in self.config

    @property
    def name(self) -> str:
        return self.folder.path.resolve().name

    @property
    def last(self) -> Mapping[str, Any] | None:
        """The last scores, or None where there are none."""
        last = self.scores.get("last")
        return last if isinstance(last, Mapping) else None

    @property
    def layers(self) -> list[str]:
        """The layers that rows are mixed at; none for the baseline."""
        return [name for name in str(self.config.get("mix", "none")).split(",") if name != "none"]

    @property
    def step(self) -> int:
        """Steps done, as far as metrics.jsonl tells."""
        return int(self.metrics[-1]["step"]) if self.metrics else 0

    @property
    def step_unit(self) -> str:
        return "step" if self.is_classifier else "generator step"

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing to resume; a classifier is tested in the end and then alone."""
        return bool(self.scores) if self.is_classifier else self.step >= int(self.config.get("steps", 0))


def read_record(folder: RunFolder) -> Record:
    """Read what is there; a run that has only begun lacks metrics, samples and scores.

    Raises:
        UserError: if the folder is not a run's, or a file in it is damaged.
    """
    config = folder.read_config()
    grids = {
        int(path.stem.removeprefix("step-")): path
        for path in sorted(folder.samples.glob("step-*.png"))
        if path.stem.removeprefix("step-").isdecimal()
    }
    metrics = _sound(folder.metrics_file, folder.read_metrics)
    scores = _sound(folder.scores_file, folder.read_scores)
    if not all(isinstance(row, dict) and isinstance(row.get("step"), int) for row in metrics):
        raise UserError(f"{folder.metrics_file} is damaged: each line must be a JSON object with a 'step'")
    if not isinstance(scores, dict):
        raise UserError(f"{folder.scores_file} is damaged: it must hold a JSON object")
    return Record(folder, config, metrics, scores, grids)


def _sound(path: Path, read: Callable[[], Content]) -> Content:
    try:
        return read()
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is damaged ({error}): restore it, or resume the run") from None
