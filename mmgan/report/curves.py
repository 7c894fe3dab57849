"""Curves over training as PNG, drawn without a display and without matplotlib's global state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mmgan.analysis.png import png_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

COLOURS = ("#1f6fb2", "#d55e00", "#1b9e77", "#7b5ea7", "#b8327a")
DOTS_PER_INCH = 130
WINDOWS = 50
"""Number of smoothing windows in a run."""


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    ylabel: str  # with the unit
    series: Mapping[str, Sequence[float]]  # values by name, one per step; NaN for a missing value
    spread: Mapping[str, Sequence[float]] = field(default_factory=dict)  # deviations by the same names: error bars


def smoothing_window(count: int) -> int:
    """The number of points to average: odd, about a fiftieth of all."""
    return 2 * (count // (2 * WINDOWS)) + 1


def moving_mean(values: Floats, window: int) -> Floats:
    """Mean over the `window` points around each point, fewer at the ends; NaN is skipped.

    Args:
        values: (n,).
        window: odd.
    """
    half = window // 2
    known = np.isfinite(values)
    sums = np.cumsum(np.concatenate([[0.0], np.where(known, values, 0.0)]))
    counts = np.cumsum(np.concatenate([[0], known]))
    at = np.arange(len(values))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    count = counts[high] - counts[low]
    mean = (sums[high] - sums[low]) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan)


def loss_curves(steps: Sequence[int], panels: Sequence[Panel], xlabel: str) -> bytes:
    """Side by side: every value faintly, with its moving mean on top. The axes may cut off single outliers."""
    figure, axes = _axes(panels, xlabel)
    window = smoothing_window(len(steps))
    colours = cycle(COLOURS)
    for ax, panel in zip(axes, panels, strict=True):
        bounds: list[float] = []
        for name, values in panel.series.items():
            colour = next(colours)
            raw = np.asarray(values, dtype=np.float64)
            smooth = moving_mean(raw, window)
            ax.plot(steps, raw, color=colour, alpha=0.22, linewidth=0.7)
            ax.plot(steps, smooth, color=colour, linewidth=1.6, label=name)
            bounds += np.nanpercentile(raw, [0.5, 99.5]).tolist()
        margin = 0.05 * (max(bounds) - min(bounds)) or 0.5
        ax.set_ylim(min(bounds) - margin, max(bounds) + margin)
        _legend(ax)
    return png_bytes(figure, DOTS_PER_INCH)


def point_curves(steps: Sequence[int], panels: Sequence[Panel], xlabel: str) -> bytes:
    """Side by side: a marker for each value, joined by lines."""
    figure, axes = _axes(panels, xlabel)
    colours = cycle(COLOURS)
    for ax, panel in zip(axes, panels, strict=True):
        for name, values in panel.series.items():
            style: dict[str, Any] = {"color": next(colours), "marker": "o", "markersize": 4, "capsize": 3}
            ax.errorbar(steps, values, yerr=panel.spread.get(name), label=name, **style)
        if len(panel.series) > 1:
            _legend(ax)
    return png_bytes(figure, DOTS_PER_INCH)


def _axes(panels: Sequence[Panel], xlabel: str) -> tuple["Figure", "list[Axes]"]:
    from matplotlib.figure import Figure  # here: it takes a second
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    figure = Figure(figsize=(10, 3.3), layout="constrained")
    axes: list[Axes] = list(figure.subplots(1, max(2, len(panels)), squeeze=False)[0])
    for ax, panel in zip(axes, panels, strict=False):
        ax.set_xlabel(xlabel)
        ax.set_ylabel(panel.ylabel)
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        ax.grid(color="0.92")
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    return figure, axes[: len(panels)]


def _legend(ax: "Axes") -> None:
    """A legend above the axes, where it hides no curve."""
    ax.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(-0.02, 1.0), borderaxespad=0.2, fontsize=9)
