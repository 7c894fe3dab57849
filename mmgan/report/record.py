"""A run as its folder describes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmgan.errors import UserError
from mmgan.report.entries import metrics_of, plain_text
from mmgan.report.evaluation import read_evaluation
from mmgan.report.shown import Shown, read_shown
from mmgan.runs.belongings import MARKS
from mmgan.runs.checkpoints import numbered_checkpoints
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import read_facts
from mmgan.runs.times import Time, read_times


@dataclass(frozen=True)
class Record:
    """A run as its folder describes it."""

    folder: RunFolder
    config: Mapping[str, Any]  # the flat settings of config.yaml
    metrics: list[dict[str, Any]]  # the rows of metrics.jsonl, oldest first
    scores: Mapping[str, Any]  # the content of scores.json, or empty
    diagnoses: list[dict[str, Any]]  # the entries of diagnosis.json, oldest first
    grids: dict[int, Path]  # sample grids by step, oldest first
    times: list[Time]  # when steps were done, oldest first
    shown: Shown  # what only the generator and the data can show
    evaluation: Mapping[str, Any] | None  # the content of evaluation.json, if there is one
    processes: int  # that trained the run, according to its newest checkpoint; 1 where that does not say

    @property
    def is_classifier(self) -> bool:
        return "epochs" in self.config

    @property
    def name(self) -> str:
        return self.folder.path.resolve().name

    @property
    def last(self) -> Mapping[str, Any] | None:
        """The last scores, or None if there are none."""
        last: Mapping[str, Any] | None = self.scores.get("last")
        return last

    @property
    def judged(self) -> Mapping[str, Any]:
        """The last scores of a run that has some."""
        assert self.last is not None
        return self.last

    @property
    def layers(self) -> list[str]:
        """The layers at which rows are mixed; none for the baseline."""
        return [name for name in str(self.config.get("mix", "none")).split(",") if name != "none"]

    @property
    def law(self) -> str:
        """What decides lam: "AdaMix", where it is learned, or "alpha" and its value."""
        return "AdaMix" if self.config.get("lam") == "adamix" else f"alpha {plain_text(self.config.get('alpha'))}"

    @property
    def step(self) -> int:
        """Steps done, according to metrics.jsonl."""
        return int(self.metrics[-1]["step"]) if self.metrics else 0

    @property
    def step_unit(self) -> str:
        return "step" if self.is_classifier else "generator step"

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing to resume; a classifier is tested only at the end."""
        return bool(self.scores) if self.is_classifier else self.step >= int(self.config.get("steps", 0))


def read_record(folder: RunFolder, shown: Shown | None = None) -> Record:
    """Read a run's files; a run that has only begun lacks metrics, samples and scores.

    Args:
        folder: the run's.
        shown: pictures that the generator makes; None: those in the folder.

    Raises:
        UserError: if the folder is not a run's, or a file in it is damaged.
    """
    config = folder.read_config()
    if not isinstance(config.get("epochs", config.get("steps")), int) or MARKS.isdisjoint(config):
        raise UserError(f"{folder.path} is not a run of mmgan: its {folder.config_file.name} is not a run's")
    metrics, scores = folder.read_metrics(), folder.read_scores()
    for entry in (scores.get("last"), scores.get("best"), *scores.get("history", [])):
        if entry is not None and not (isinstance(entry, Mapping) and metrics_of(entry)):
            raise UserError(
                f"{folder.scores_file} holds no scores that this version of mmgan knows: score the run again"
            )
    return Record(
        folder,
        config,
        metrics,
        scores,
        folder.read_diagnoses(),
        grids_of(folder),
        read_times(folder.times_file),
        read_shown(folder) if shown is None else shown,
        read_evaluation(folder),
        _processes(folder),
    )


def grids_of(folder: RunFolder) -> dict[int, Path]:
    """The sample grids of a run by step, oldest first."""
    return {
        int(path.stem.removeprefix("step-")): path
        for path in sorted(folder.samples.glob("step-*.png"))
        if path.stem.removeprefix("step-").isdecimal()
    }


def _processes(folder: RunFolder) -> int:
    checkpoints = numbered_checkpoints(folder.checkpoints)
    try:
        count = read_facts(checkpoints[0]).get("processes") if checkpoints else None
    except UserError:
        count = None
    return count if isinstance(count, int) and count > 0 else 1
