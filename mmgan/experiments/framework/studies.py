"""Whole training runs behind an experiment: a data set, a network and seeds, on which arms are compared.

Runs are trained by `mmgan train-classifier` or `mmgan train-gan` in processes of their own, and kept under their arm's
name: experiments that need the same arm share it, and what was trained once is not trained again.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmgan.data import load_images
from mmgan.errors import TrainingFailed, UserError
from mmgan.experiments.framework.figures import Values
from mmgan.experiments.framework.outcome import Finding, Outcome, Place
from mmgan.experiments.framework.verdicts import Direction, compare_arms
from mmgan.report.record import Record, read_record
from mmgan.sweeps.definition import Settings, Sweep, TrainerName, list_runs
from mmgan.sweeps.running import run_sweep
from mmgan.sweeps.summary import summarize
from mmgan.sweeps.table import write_summary


@dataclass(frozen=True)
class Study:
    """What is the same for all arms.

    Attributes:
        label: data and network, for readers.
        name: of the folder of its runs.
        config: the file that all runs start from.
        settings: over it.
        seeds: of each arm.
        trainer: "classifier" or "gan".
    """

    label: str
    name: str
    config: str
    settings: Settings
    seeds: tuple[int, ...]
    trainer: TrainerName = "classifier"


@dataclass(frozen=True)
class Comparison:
    """A claim of the paper: with `arm`, `measure` is lower, or higher, than with `baseline`.

    Attributes:
        measure: its name with its unit; also the key under which its values are found.
        arm, baseline: names of arms.
        claim: where the paper has the arm.
        paper: its numbers, and where they stand.
        digits: after the point.
    """

    measure: str
    arm: str
    baseline: str
    claim: Direction
    paper: str
    digits: int = 2


def arm(layers: str, alpha: float = 1.0) -> str:
    """The name of an arm without further settings, under which experiments share it: "none", "pixel alpha 1"."""
    return "none" if layers == "none" else f"{layers} alpha {alpha:g}"


def arms_of(comparisons: Sequence[Comparison], catalogue: Mapping[str, Settings]) -> dict[str, Settings]:
    """The arms that the comparisons name, in the catalogue's order."""
    named = {name for c in comparisons for name in (c.arm, c.baseline)}
    return {name: settings for name, settings in catalogue.items() if name in named}


def train(place: Place, study: Study, arms: Mapping[str, Settings]) -> dict[str, list[Record]]:
    """The runs of each arm in the order of the seeds; missing ones are trained.

    Raises:
        UserError: if the data are not there, another run lies in the way, or runs were judged differently.
        TrainingFailed: if a run failed; the others are kept.
    """
    baseline = next(iter(arms))
    sweep = Sweep(
        trainer=study.trainer,
        config=study.config,
        settings=study.settings,
        seeds=study.seeds,
        arms=arms,
        baseline=baseline,
        folder=place.runs / study.name,
    )
    _check_data(list_runs(sweep)[0].config)
    result = run_sweep(sweep, jobs=place.jobs, say=place.say)
    if result.failed:
        raise TrainingFailed(
            f"{len(result.failed)} of {len(result.runs)} runs failed; the others are kept, and the same command goes on"
        )
    summary = summarize(result)
    write_summary(summary, sweep.folder)
    if summary.notes:
        raise UserError(f"the runs in {sweep.folder} cannot be compared: {'; '.join(summary.notes)}")
    records: dict[str, list[Record]] = {name: [] for name in arms}
    for ended in result.runs:
        records[ended.run.arm].append(read_record(ended.run.folder))
    return records


def _check_data(config: Settings) -> None:
    """Refuse data that are not there in one line, instead of a line for each run."""
    if not config["download"]:
        names = ("image_size", "channels", "skip_bad_images")
        for split in ("train", "test"):
            load_images(config["data"], config["data_root"], split=split, **{name: config[name] for name in names})


def cost_note(study: Study, records: Mapping[str, Sequence[Record]]) -> str:
    """How long the runs took, from the times of their files: the experiment may have found them trained."""
    runs = [record.folder for of in records.values() for record in of]
    seconds = [folder.scores_file.stat().st_mtime - folder.config_file.stat().st_mtime for folder in runs]
    return (
        f"{study.label}: {len(runs)} runs of {statistics.median(seconds):.0f} s (median, start and judging included),"
        f" {sum(seconds) / 60:.0f} min together; those of them that were there already are not in the time above."
    )


def measure(records: Mapping[str, Sequence[Record]], of: Callable[[Record], float]) -> dict[str, list[float]]:
    """One number a run."""
    return {name: [of(record) for record in runs] for name, runs in records.items()}


def test_error(record: Record) -> float:
    """Test error after the last epoch, in percent."""
    assert record.last is not None
    return float(record.last["test"]["error_percent"])


def test_nll(record: Record) -> float:
    """Test NLL after the last epoch, in nats."""
    assert record.last is not None
    return float(record.last["test"]["nll"])


class Collected:
    """The outcome of an experiment, put together study by study.

    Args:
        name: of the experiment, with which its figures' names begin.
        folder: where its figures go.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.outcome = Outcome([], {}, [])
        self._name = name
        self._folder = folder

    def add(
        self,
        study: Study,
        records: Mapping[str, Sequence[Record]],
        comparisons: Sequence[Comparison],
        measured: Mapping[str, Values],
        **details: Any,
    ) -> None:
        """Compare a study's arms, keep its values, and note what its runs took.

        Args:
            study: what was trained.
            records: the runs by arm.
            comparisons: the claims; each becomes a line of the table.
            measured: a measure's name -> its values by arm.
            details: what else results.json says of the study.
        """
        self.outcome.findings.extend(find(comparisons, measured, study.label))
        about = {"label": study.label, "seeds": study.seeds}
        self.outcome.values[study.name] = {**about, **details, "values": measured}
        self.outcome.notes.append(cost_note(study, records))

    def figure(self, name: str = "") -> Path:
        """Where the figure of that name goes: of a study, or the experiment's only one."""
        self.outcome.figures.append(f"{self._name}-{name}.png" if name else f"{self._name}.png")
        return self._folder / self.outcome.figures[-1]


def find(comparisons: Sequence[Comparison], values: Mapping[str, Values], label: str) -> list[Finding]:
    """A line of the table for each comparison.

    Args:
        comparisons: the claims.
        values: a measure's name -> its values by arm.
        label: of the study.
    """
    return [
        compare_arms(
            f"{label}: {c.measure}, {c.arm} against {c.baseline}",
            c.paper,
            values[c.measure][c.arm],
            values[c.measure][c.baseline],
            c.claim,
            c.digits,
        )
        for c in comparisons
    ]
