"""From numbers by seed to a line of the table: two arms are compared seed by seed, never by eye."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mmgan.analysis.power import detectable_effect
from mmgan.analysis.seeds import paired_difference
from mmgan.experiments.framework.outcome import Finding, Verdict

Direction = Literal["lower", "higher"]


def compare_arms(
    what: str,
    paper: str,
    arm: Sequence[float],
    baseline: Sequence[float],
    claim: Direction,
    digits: int = 2,
) -> Finding:
    """One arm against the baseline over the same seeds.

    The verdict rests on Student's 95 % interval of the paired difference: "agrees" if the whole interval lies on the
    side that the paper claims, "disagrees" if it lies on the other side, "undecided" if it contains 0. An undecided
    line also gives the difference that n pairs would show four times in five.

    Args:
        what: the quantity, with its unit and both arms' names.
        paper: what the paper says.
        arm, baseline: a value for each seed, in the same order of seeds, two or more.
        claim: whether the paper has the arm lower or higher than the baseline.
        digits: after the point.
    """
    d = paired_difference(arm, baseline)
    verdict: Verdict = "undecided"
    if d.low > 0 or d.high < 0:
        verdict = "agrees" if (d.mean < 0) == (claim == "lower") else "disagrees"
    interval = f"{d.mean:+.{digits}f} [{d.low:+.{digits}f}, {d.high:+.{digits}f}]"
    if verdict == "undecided":
        interval += f"; n = {d.n} would show {detectable_effect(d.sd, d.n):.{digits}f}"
    ours = f"{mean_sd(arm, digits)} against {mean_sd(baseline, digits)}"
    return Finding(what, paper, ours, d.n, interval, verdict)


def compare_runs(
    runs: Mapping[str, Sequence[Mapping[str, Any]]],
    what: str,
    key: str,
    paper: str,
    arm: str,
    baseline: str,
    claim: Direction = "lower",
    digits: int = 1,
) -> Finding:
    """`compare_arms` of one measure.

    Args:
        runs: an arm's name -> the measures of each seed, by key.
        what: the quantity with its unit; both arms' names are added.
        key: of the measure.
        paper, claim, digits: see `compare_arms`.
        arm, baseline: names of arms.
    """
    ours, theirs = ([float(run[key]) for run in runs[name]] for name in (arm, baseline))
    return compare_arms(f"{what}, {arm} against {baseline}", paper, ours, theirs, claim, digits)


def conclude(what: str, paper: str, ours: str, n: int, agrees: bool | None) -> Finding:
    """A line without an interval; `agrees` is None if the paper gives no number."""
    verdict: Verdict = "no number to compare with" if agrees is None else "agrees" if agrees else "disagrees"
    return Finding(what, paper, ours, n, "", verdict)


def mean_sd(values: Sequence[float], digits: int = 2) -> str:
    """Mean ± sample deviation (n - 1); of one value, the value."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.{digits}f}"
