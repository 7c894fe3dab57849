"""Findings on spectra, compared with Section 3.2's numbers, and Figures 9 to 12."""

import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmgan.analysis.png import save_png
from mmgan.analysis.seeds import paired_difference
from mmgan.experiments.framework.figures import DOTS_PER_INCH
from mmgan.experiments.framework.outcome import Finding, Verdict
from mmgan.experiments.framework.verdicts import compare_arms, compare_runs, mean_sd

BASELINE, WEIGHT_DECAY, DROPOUT = "baseline", "weight decay", "dropout"
INPUT, MANIFOLD = "input mixup", "Manifold Mixup"
LATE, WIDER, EARLY = "12 units, after 3 layers", "30 units, after 3 layers", "30 units, after 1 layer"

Measured = dict[str, dict[str, list[dict[str, Any]]]]
"""Setup -> arm -> a seed's numbers."""

LARGEST = {BASELINE: 51.73, WEIGHT_DECAY: 33.76, DROPOUT: 28.83, INPUT: 33.46, MANIFOLD: 31.65}  # Section 3.2
REST = {BASELINE: 78.67, WEIGHT_DECAY: 73.36, DROPOUT: 77.47, INPUT: 66.89, MANIFOLD: 40.98}
ENOUGH = 30.0
"""Required fall of the rest, in percent; the paper's is 47.9."""

COLOURS = {BASELINE: "tab:blue", WEIGHT_DECAY: "tab:red", DROPOUT: "0.5", INPUT: "tab:orange", MANIFOLD: "tab:green"}


def findings(measured: Measured) -> list[Finding]:
    """The lines of the table, Manifold Mixup against the baseline first."""
    late = measured[LATE]
    fall = 100 * (1 - REST[MANIFOLD] / REST[BASELINE])
    lines = [_fall(LATE, late, f"falls by {fall:.1f} %, 78.67 to 40.98 (Section 3.2)")]
    lines += [_fall(title, measured[title], f"falls (Figure {figure})") for title, figure in ((WIDER, 10), (EARLY, 11))]
    for title, arms in measured.items():
        what, claim = f"{title}: thickness of a class / distance of class means", "flatter (Section 3.2, Appendix G)"
        lines.append(compare_runs(arms, what, "thickness", claim, MANIFOLD, BASELINE, digits=3))
    early, wider = (_falls(measured[title]) for title in (EARLY, WIDER))
    what = "30 units: fall of the rest, %, bottleneck after 1 layer against after 3"
    lines.append(compare_arms(what, "weaker early (Figure 11)", early, wider, "lower", 1))
    for key, paper, what in (
        ("largest", LARGEST, "largest singular value of a class"),
        ("rest", REST, "sum of the other singular values of a class"),
    ):
        for name in late:
            if name != BASELINE:
                claim = f"{paper[name]} against {paper[BASELINE]} (Section 3.2)"
                lines.append(compare_runs(late, f"12 units: {what}", key, claim, name, BASELINE))
    for name in (INPUT, MANIFOLD):
        what = "12 units: all classes together, sum of all but the largest"
        line = compare_runs(late, what, "overall_rest", "no clear difference (Figure 12)", name, BASELINE, digits=0)
        lines.append(replace(line, verdict=_same(line.verdict)))
    for name in late:
        if name != BASELINE:
            line = compare_runs(late, "12 units: test error, %", "test_error", "", name, BASELINE, digits=2)
            lines.append(replace(line, verdict="no number to compare with"))
    return lines


def _values(runs: list[dict[str, Any]], key: str) -> list[float]:
    return [float(run[key]) for run in runs]


def _falls(arms: Mapping[str, list[dict[str, Any]]]) -> list[float]:
    """The fall of the rest with Manifold Mixup, in percent, by seed."""
    pairs = zip(_values(arms[MANIFOLD], "rest"), _values(arms[BASELINE], "rest"), strict=True)
    return [100 * (1 - ours / theirs) for ours, theirs in pairs]


def _fall(title: str, arms: Mapping[str, list[dict[str, Any]]], paper: str) -> Finding:
    """Whether the fall of the rest is at least ENOUGH: by its interval over seeds."""
    falls = _falls(arms)
    d = paired_difference(falls, [0.0] * len(falls))
    verdict: Verdict = "agrees" if d.low >= ENOUGH else "disagrees" if d.high < ENOUGH else "undecided"
    ours, theirs = (mean_sd(_values(arms[name], "rest"), 1) for name in (MANIFOLD, BASELINE))
    what = f"{title}: fall of the sum of non-largest singular values of a class, %, {MANIFOLD} against {BASELINE}"
    interval = f"{d.mean:.1f} [{d.low:.1f}, {d.high:.1f}]"
    said = f"{mean_sd(falls, 1)} ({theirs} to {ours})"
    return Finding(f"{what}; at least {ENOUGH:.0f} asked", paper, said, d.n, interval, verdict)


def _same(verdict: Verdict) -> Verdict:
    """An interval that contains 0 does not prove that there is no difference; one without 0 contradicts the claim."""
    return "undecided" if verdict == "undecided" else "disagrees"


def draw_spectra(measured: Measured, path: Path) -> None:
    """spectra.png: class-wise values of every setup, and all classes together of the first, a mean over seeds.

    The axes are cut as the paper's are: the first value, mostly the length of a class's mean, stands above them.
    """
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    panels = figure.subplots(2, 2).flat
    for title, arms in measured.items():
        _panel(next(panels), f"each class, {title}", {name: _mean(runs, "class_values") for name, runs in arms.items()})
    overall = {name: _mean(runs, "overall_values") for name, runs in measured[LATE].items()}
    _panel(next(panels), f"all classes together, {LATE}", overall)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    save_png(figure, path, DOTS_PER_INCH)


def _panel(axes: Axes, title: str, spectra: Mapping[str, list[float]]) -> None:
    for name, values in spectra.items():
        ranks = range(1, len(values) + 1)
        axes.plot(ranks, values, marker="o", markersize=3, linewidth=1.3, color=COLOURS[name], label=name)
    axes.set(xlabel="rank of the singular value", ylabel="singular value (units of the layer)")
    axes.set_ylim(0, 1.1 * max(values[1] for values in spectra.values()))
    axes.set_title(title, fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)


def _mean(runs: list[dict[str, Any]], key: str) -> list[float]:
    longest = max(len(run[key]) for run in runs)
    rows = [np.pad(run[key], (0, longest - len(run[key]))) for run in runs]  # fewer images than units: zeros
    return [statistics.fmean(column) for column in np.stack(rows).T.tolist()]
