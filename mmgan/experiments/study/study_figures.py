"""The study's pictures: effects as a forest plot, curves against steps, samples by arm."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmgan.analysis.png import save_png
from mmgan.data.decode import load_image
from mmgan.experiments.framework.figures import DOTS_PER_INCH, save_small
from mmgan.experiments.study.effects import Effect
from mmgan.experiments.study.rows import Row


def forest(effects: Sequence[Effect], path: Path, title: str) -> None:
    """One panel a number of images, one line a comparison: the paired difference with its plain 95 % interval; PNG.

    A filled dot marks a difference that Holm's correction decides.
    """
    sizes = list(dict.fromkeys(effect.images for effect in effects))
    names = list(dict.fromkeys(f"{effect.arm}\nagainst {effect.against}" for effect in effects))
    figure = Figure(figsize=(8.0, 1.4 + 0.5 * len(names)), layout="constrained")
    for axes, images in zip(figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0], sizes, strict=True):
        for effect in effects:
            if effect.images != images:
                continue
            row, d = names.index(f"{effect.arm}\nagainst {effect.against}"), effect.difference
            fill = "tab:blue" if effect.holm_verdict != "undecided" else "white"
            axes.plot([d.low, d.high], [row, row], color="tab:blue", linewidth=1.6)
            axes.plot(d.mean, row, "o", color="tab:blue", markerfacecolor=fill, markersize=6)
        axes.axvline(0, color="0.4", linestyle=":", linewidth=1.2)
        axes.set(title=f"{images:,} images", xlabel=f"difference in {effects[0].measure.name}")
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(axis="x", alpha=0.3)
    figure.suptitle(title, fontsize=10)
    save_png(figure, path, DOTS_PER_INCH)


def curves(rows: Sequence[Row], arms: Sequence[str], sizes: Sequence[int], path: Path) -> None:
    """Validation FD above, r below, against generator steps, a column a number of images: means over seeds; PNG."""
    figure = Figure(figsize=(8.0, 6.0), layout="constrained")
    grid = figure.subplots(2, len(sizes), sharex=True, squeeze=False)
    for column, images in enumerate(sizes):
        for line, (key, label) in enumerate((("fd", "validation FD"), ("r", "overfitting r of D"))):
            axes = grid[line][column]
            for arm in arms:
                _curve(axes, [row for row in rows if (row.arm, row.images) == (arm, images)], key, arm)
            axes.grid(alpha=0.3)
            axes.set(ylabel=label if column == 0 else "", xlabel="generator steps" if line == 1 else "")
            axes.set_title(f"{images:,} images" if line == 0 else "")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9)
    save_png(figure, path, DOTS_PER_INCH)


def _curve(axes: Axes, rows: Sequence[Row], key: str, label: str) -> None:
    steps = [point["step"] for point in rows[0].curve] if rows else []
    values = [[row.curve[k][key] for row in rows if row.curve[k][key] is not None] for k in range(len(steps))]
    shown = [(step, statistics.fmean(of)) for step, of in zip(steps, values, strict=True) if of]
    axes.plot([step for step, _ in shown], [mean for _, mean in shown], marker="o", markersize=3, label=label)


def samples(strip: Callable[[str, int], Path], arms: Sequence[str], sizes: Sequence[int], path: Path) -> None:
    """One column a number of images, one line an arm: the strips of samples that the runs left; PNG."""
    figure = Figure(figsize=(8.0, 0.6 + 0.45 * len(arms)), layout="constrained")
    grid = figure.subplots(len(arms), len(sizes), squeeze=False)
    for line, arm in enumerate(arms):
        for column, images in enumerate(sizes):
            axes = grid[line][column]
            axes.imshow(load_image(strip(arm, images).read_bytes()), interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_title(f"{images:,} images" if line == 0 else "", fontsize=9)
            if column == 0:
                axes.set_ylabel(arm, rotation=0, ha="right", va="center", fontsize=8)
    save_small(figure, path)
