"""The results of a sweep by arm, metric and seed, and each arm against the baseline over their common seeds."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmgan.analysis.seeds import PairedDifference, mean_interval, paired_difference
from mmgan.report.diagnosis import main_numbers
from mmgan.report.entries import Metric, judge_text, metrics_of
from mmgan.report.means import judged_differently
from mmgan.runs.folder import RunFolder
from mmgan.sweeps.running import SweepResult

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """One arm by one metric."""

    arm: str
    metric: Metric
    values: Mapping[int, float]  # by seed
    difference: PairedDifference | None  # arm - baseline over the seeds of both; None for the baseline, or if unknown

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.values.values()) if self.values else None

    def interval(self, reference: float | None) -> tuple[float, float] | None:
        """The ends of its 95 % interval; None where there is none.

        Args:
            reference: the baseline's mean: the interval is that of the paired difference, drawn from there. None: there
                is no baseline, and it is Student's interval of the mean.
        """
        if reference is not None:
            d = self.difference
            return None if d is None else (reference + d.low, reference + d.high)
        values = list(self.values.values())
        return mean_interval(values) if len(values) > 1 else None

    def at(self, reference: float | None) -> float | None:
        """Where its dot stands: the mean, or with a baseline the baseline's mean and the paired difference."""
        return self.mean if reference is None or self.difference is None else reference + self.difference.mean

    @property
    def sd(self) -> float | None:
        """Sample deviation (n - 1) over seeds; None for fewer than two."""
        return statistics.stdev(self.values.values()) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Summary:
    """A sweep's numbers, from the last scores of the runs that are done."""

    values: Mapping[str, Mapping[str, Mapping[int, float]]]  # arm -> metric's name -> seed -> value
    metrics: list[Metric]  # in the order of scores.json
    lines: list[Line]  # one for each arm and metric, metric by metric
    baseline: str | None  # the arm that the others are compared with
    judges: Mapping[str, str]  # arm -> its judge in one line; without the arms that have no scores
    notes: list[str]  # what is missing and why, a line each


def summarize(result: SweepResult) -> Summary:
    """Read the scores of a sweep's runs. Missing seeds are left out, and a note says so.

    Values that were judged differently are neither averaged nor compared; arms may differ in the step that was scored.

    Raises:
        UserError: if a scores.json is damaged.
    """
    notes: list[str] = []
    entries = {arm: _entries_of(result, arm, notes) for arm in result.sweep.arms}
    metrics = list(
        dict.fromkeys(metric for of in entries.values() for entry in of.values() for metric in metrics_of(entry))
    )
    values = {
        arm: {metric.name: _values_of(arm, metric, of, notes) for metric in metrics} for arm, of in entries.items()
    }
    baseline = result.sweep.baseline
    comparable = [arm for arm in entries if baseline and _is_comparable(arm, baseline, entries, notes)]
    lines = []
    for metric in metrics:
        by_arm = {arm: of[metric.name] for arm, of in values.items()}
        for arm, of_arm in by_arm.items():
            paired = _difference(of_arm, by_arm[baseline]) if baseline and arm in comparable else None
            lines.append(Line(arm, metric, of_arm, paired))
    notes += _few_pairs(lines, comparable)
    judges = {arm: judge_text(next(iter(of.values()))) for arm, of in entries.items() if of}
    return Summary(values, metrics, lines, baseline, judges, notes)


def _entries_of(result: SweepResult, arm: str, notes: list[str]) -> dict[int, Entry]:
    """An arm's last scores by seed; empty if they were not all judged alike."""
    found: dict[int, Entry] = {}
    for ended in result.runs:
        if ended.run.arm != arm:
            continue
        last = _last_entry(ended.run.folder) if ended.state == "done" else None
        if ended.state == "failed":
            notes.append(f"{ended.run.name} is left out: it failed ({ended.why})")
        elif last is None:
            notes.append(f"{ended.run.name} is left out: it was neither scored nor diagnosed")
        elif last.get("reason"):
            notes.append(f"{ended.run.name} is left out: it has no scores ({last['reason']})")
        else:
            found[ended.run.seed] = last
    fault = judged_differently(list(found.values())) if found else None
    if fault:
        notes.append(f"{arm} has no mean: {fault}")
        return {}
    return found


def _last_entry(folder: RunFolder) -> Entry | None:
    """The run's last scores, with its last diagnosis where that is of the same step; or one of them alone."""
    scores: Entry | None = folder.read_scores().get("last")
    diagnoses = folder.read_diagnoses()
    if not diagnoses or (scores is not None and scores.get("step") != diagnoses[-1]["step"]):
        return scores
    last = diagnoses[-1]
    found = {"diagnosis": main_numbers(last), "held_out": last["held_out"]}
    return dict(scores or {"step": last["step"]}) | found


def _values_of(arm: str, metric: Metric, entries: Mapping[int, Entry], notes: list[str]) -> dict[int, float]:
    values = {seed: metric.value(entry) for seed, entry in entries.items() if metric in metrics_of(entry)}
    if unknown := [str(seed) for seed, value in values.items() if value is None]:
        notes.append(f"{arm}: {metric.name} could not be computed for seed {', '.join(unknown)}, which is left out")
    return {seed: value for seed, value in values.items() if value is not None}


def _is_comparable(arm: str, baseline: str, entries: Mapping[str, Mapping[int, Entry]], notes: list[str]) -> bool:
    if arm == baseline or not entries[arm] or not entries[baseline]:
        return False
    fault = judged_differently([next(iter(entries[name].values())) for name in (baseline, arm)], apart=["step"])
    if fault:
        notes.append(f"{arm} is not compared with {baseline}: {fault}")
    return fault is None


def _difference(arm: Mapping[int, float], baseline: Mapping[int, float]) -> PairedDifference | None:
    """Arm - baseline over their common seeds; None for fewer than two."""
    common = [seed for seed in arm if seed in baseline]
    return paired_difference([arm[s] for s in common], [baseline[s] for s in common]) if len(common) > 1 else None


def _few_pairs(lines: list[Line], comparable: list[str]) -> list[str]:
    arms = dict.fromkeys(line.arm for line in lines if line.arm in comparable and line.difference is None)
    return [f"{arm} has fewer than two seeds in common with the baseline: no interval" for arm in arms]
