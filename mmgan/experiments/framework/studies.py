"""Whole training runs behind an experiment: a data set, a network and seeds, on which arms are compared.

`mmgan train-classifier` or `mmgan train-gan` trains each run in its own process. Runs are kept under their arm's name:
experiments that need the same arm share it, and no run is trained twice.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmgan.data import load_images
from mmgan.errors import TrainingFailed, UserError
from mmgan.experiments.framework.figures import Values
from mmgan.experiments.framework.outcome import Outcome, Place
from mmgan.experiments.framework.verdicts import Direction, compare_arms
from mmgan.report.entries import Metric
from mmgan.report.record import Record, read_record
from mmgan.sweeps.definition import Settings, Sweep, TrainerName, list_runs
from mmgan.sweeps.running import run_sweep
from mmgan.sweeps.summary import summarize
from mmgan.sweeps.table import write_summary


@dataclass(frozen=True)
class Study:
    """What all arms have in common."""

    label: str  # data and network, for readers
    name: str  # of the folder of its runs
    config: str  # the file that all runs start from
    settings: Settings  # these override the file
    seeds: tuple[int, ...]  # of each arm
    trainer: TrainerName = "classifier"


@dataclass(frozen=True)
class Comparison:
    """A claim of the paper: with `arm`, `measure` is lower, or higher, than with `baseline`."""

    measure: str  # its name with its unit; also the key of its values
    arm: str
    baseline: str
    claim: Direction
    paper: str  # its numbers, and their place
    digits: int = 2  # after the point


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
        UserError: if data are missing, a folder holds another run, or runs were judged differently.
        TrainingFailed: if a run failed; the others are kept.
    """
    common = {name: getattr(study, name) for name in ("trainer", "config", "settings", "seeds")}
    sweep = Sweep(**common, arms=arms, baseline=next(iter(arms)), folder=place.runs / study.name)
    check_data(list_runs(sweep)[0].config)
    result = run_sweep(sweep, jobs=place.jobs, say=place.say)
    if result.failed:
        raise TrainingFailed(
            f"{len(result.failed)} of {len(result.runs)} runs failed; the others are kept, and the same command goes on"
        )
    summary = summarize(result)
    write_summary(summary, sweep.folder)
    if summary.notes:
        raise UserError(f"the runs in {sweep.folder} cannot be compared: {'; '.join(summary.notes)}")
    return {name: [read_record(one.run.folder) for one in result.runs if one.run.arm == name] for name in arms}


def check_data(config: Settings) -> None:
    """Refuse missing data in one line, instead of one line for each run.

    Args:
        config: a run's flat settings.
    """
    if not config["download"]:
        names = ("image_size", "channels", "skip_bad_images")
        for split in ("train", "test"):
            load_images(config["data"], config["data_root"], split=split, **{name: config[name] for name in names})


def cost_note(study: Study, records: Mapping[str, Sequence[Record]]) -> str:
    """The time the runs took, from the times of their files: some may have been trained earlier."""
    runs = [record.folder for of in records.values() for record in of]
    seconds = [folder.scores_file.stat().st_mtime - folder.config_file.stat().st_mtime for folder in runs]
    return (
        f"{study.label}: {len(runs)} runs of {statistics.median(seconds):.0f} s (median, start and judging included),"
        f" {sum(seconds) / 60:.0f} min together. The time above leaves out runs that had been trained before."
    )


def measure(records: Mapping[str, Sequence[Record]], *metrics: Metric) -> dict[str, dict[str, list[float]]]:
    """The metrics' names -> the values of each arm's last scores, one per run."""

    def value(metric: Metric, record: Record) -> float:
        found = metric.value(record.judged)
        assert found is not None  # a run without scores has failed
        return found

    return {m.name: {arm: [value(m, run) for run in runs] for arm, runs in records.items()} for m in metrics}


class Collected:
    """The outcome of an experiment, collected study by study.

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
        """Compare a study's arms, keep its values, and note the time its runs took.

        Args:
            study: what was trained.
            records: the runs by arm.
            comparisons: the claims; each becomes a line of the table.
            measured: a measure's name -> its values by arm.
            details: what else results.json says of the study.
        """
        for c in comparisons:
            what, values = f"{study.label}: {c.measure}, {c.arm} against {c.baseline}", measured[c.measure]
            finding = compare_arms(what, c.paper, values[c.arm], values[c.baseline], c.claim, c.digits)
            self.outcome.findings.append(finding)
        about = {"label": study.label, "seeds": study.seeds}
        self.outcome.values[study.name] = {**about, **details, "values": measured}
        self.outcome.notes.append(cost_note(study, records))

    def figure(self, name: str = "") -> Path:
        """The path for a study's figure, or for the experiment's only one."""
        self.outcome.figures.append(f"{self._name}-{name}.png" if name else f"{self._name}.png")
        return self._folder / self.outcome.figures[-1]
