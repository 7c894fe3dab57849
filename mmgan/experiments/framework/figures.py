"""Figures that several experiments draw: arms by seed, lines over a setting."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mmgan.analysis.png import png_bytes, save_png
from mmgan.data.decode import load_image

DOTS_PER_INCH = 110

Values = Mapping[str, Sequence[float]]
"""An arm's name -> a value for each seed."""


def arms_figure(panels: Mapping[str, Values], path: Path, title: str = "") -> None:
    """One panel a measure, one line an arm: each seed as a small dot, the mean as a large one; PNG.

    The first arm is the baseline: a dotted line through its mean runs down the panel, as in Figure 8.

    Args:
        panels: a measure's name with its unit -> an arm's name -> a value for each seed; the first has all arms, the
            others at least the baseline.
        path: where the PNG goes.
        title: above the panels.
    """
    names = list(next(iter(panels.values())))
    figure = Figure(figsize=(7.2, 1.3 + 0.34 * len(names)), layout="constrained")
    for i, (axes, (label, values)) in enumerate(
        zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(), strict=True)
    ):
        for row, name in enumerate(names):
            if name not in values:
                continue
            axes.plot(values[name], [row] * len(values[name]), "o", color="tab:blue", alpha=0.35, markersize=4)
            axes.plot(statistics.fmean(values[name]), row, "o", color="tab:blue", markersize=7)
        axes.axvline(statistics.fmean(values[names[0]]), color="0.4", linestyle=":", linewidth=1.2)
        axes.set(xlabel=label, ylim=(len(names) - 0.5, -0.5))
        axes.grid(axis="x", alpha=0.3)
        if i == 0:
            axes.set_yticks(range(len(names)), names)
    figure.suptitle(title, fontsize=10)
    save_png(figure, path, DOTS_PER_INCH)


def lines_figure(
    panels: Mapping[str, Mapping[str, Mapping[float, Sequence[float]]]],
    path: Path,
    xlabel: str,
    dotted: Mapping[str, float] | None = None,
    title: str = "",
) -> None:
    """One panel a measure, one line an arm: means over a setting, with the sample deviation over seeds; PNG.

    Args:
        panels: a measure's name with its unit -> an arm's name -> the setting's value -> a value for each seed.
        path: where the PNG goes.
        xlabel: the setting, with its unit.
        dotted: a measure's name -> the baseline's mean, drawn as a dotted line (Figure 8).
        title: above the panels.
    """
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    for axes, (label, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        settings = [x for points in lines.values() for x in points]
        apart = (max(settings) - min(settings)) / 100  # so that bars of several lines do not cover each other
        for i, (name, points) in enumerate(lines.items()):
            xs = [x + (i - (len(lines) - 1) / 2) * apart for x in points]
            means = [statistics.fmean(values) for values in points.values()]
            spread = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in points.values()]
            axes.errorbar(xs, means, spread, marker="o", markersize=4, capsize=2, linewidth=1.2, label=name)
        if dotted:
            axes.axhline(dotted[label], color="0.3", linestyle=":", linewidth=1.4, label="baseline")
        axes.set(xlabel=xlabel, ylabel=label)
        axes.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5), fontsize=9)
    figure.suptitle(title, fontsize=10)
    save_png(figure, path, DOTS_PER_INCH)


def save_small(figure: Figure, path: Path, dots_per_inch: int = DOTS_PER_INCH) -> None:
    """Write a PNG of 128 colours: a quarter of the size of a full-colour one; the same figure gives the same file."""
    drawn = load_image(png_bytes(figure, dots_per_inch))
    drawn.convert("RGB").quantize(128).save(path, optimize=True)
