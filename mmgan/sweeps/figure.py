"""A sweep's summary as a picture."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmgan.analysis.png import png_bytes
from mmgan.sweeps.summary import Line, Summary

DOTS_PER_INCH = 100


def draw_summary(summary: Summary) -> bytes:
    """One panel a metric: each arm's seeds, its dot and 95 % interval, and the baseline's mean as a dotted line; PNG.

    With a baseline the interval is that of the paired difference, drawn from the baseline's mean: an arm whose interval
    crosses the line cannot be told apart from the baseline. Without a baseline it is Student's interval of the mean.
    """
    metrics = [m for m in summary.metrics if any(line.values for line in summary.lines if line.metric == m)]
    arms = list(summary.values)
    figure = Figure(figsize=(8, 1.1 + 0.3 * len(arms)), layout="constrained")
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for ax, metric in zip(axes, metrics, strict=True):
        lines = [line for line in summary.lines if line.metric == metric]
        _panel(ax, lines, summary.baseline)
        better = "lower" if metric.better == "↓" else "higher"
        ax.set_xlabel(f"{metric.name}\n({better} is better)", fontsize=9)
    axes[0].set_yticks(range(len(arms)), arms, fontsize=9)
    axes[0].set_ylim(len(arms) - 0.5, -0.5)  # the first on top
    bars = "of the paired difference from the baseline (dotted)" if summary.baseline else "of the mean"
    figure.suptitle(f"dots: means over seeds; bars: 95 % interval {bars}; grey: single seeds", fontsize=9)
    return png_bytes(figure, DOTS_PER_INCH)


def _panel(ax: Axes, lines: list[Line], baseline: str | None) -> None:
    reference = next((line.mean for line in lines if line.arm == baseline), None)
    if reference is not None:
        ax.axvline(reference, color="0.3", linestyle=":", linewidth=1.5, zorder=1)
    for row, line in enumerate(lines):
        if line.mean is None:
            style: dict[str, Any] = {"ha": "center", "va": "center", "backgroundcolor": "white", "fontsize": 8}
            ax.annotate("no scores", (0.5, row), xycoords=("axes fraction", "data"), **style)
            continue
        ax.plot(list(line.values.values()), [row] * len(line.values), "o", color="0.75", markersize=3.5, zorder=2)
        at, ends = line.at(reference), line.interval(reference)
        colour = "0.3" if line.arm == baseline else "#1f6fb2"
        if ends is not None:
            ax.plot(ends, [row, row], "|-", color=colour, markersize=7, linewidth=1.6, zorder=3)
        if at is not None:
            ax.plot([at], [row], "o", color=colour, markersize=6, zorder=4)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.tick_params(axis="x", labelsize=8)
    ax.grid(axis="x", color="0.92")
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
