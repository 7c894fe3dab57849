"""What a run folder says about its run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmgan.errors import UserError
from mmgan.report.entries import metrics_of
from mmgan.runs.folder import RunFolder


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
        last: Mapping[str, Any] | None = self.scores.get("last")
        return last

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
    metrics, scores = folder.read_metrics(), folder.read_scores()
    for entry in (scores.get("last"), scores.get("best"), *scores.get("history", [])):
        if entry is not None and not (isinstance(entry, Mapping) and metrics_of(entry)):
            raise UserError(
                f"{folder.scores_file} holds no scores that this version of mmgan knows: score the run anew"
            )
    return Record(folder, config, metrics, scores, grids)
