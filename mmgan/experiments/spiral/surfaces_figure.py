"""The two figures of the spirals: surfaces (Figures 1 and 2) and singular values (Figure 1 c, f)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from mmgan.analysis.activations import activations
from mmgan.classifiers import MLP
from mmgan.draws import torch_stream
from mmgan.experiments.framework.figures import save_small
from mmgan.experiments.spiral.surfaces import Box, after, box_of, draw_surface

COLUMNS = 4


@dataclass(frozen=True, eq=False)
class TrainedSpiral:
    """One arm's network and its training data."""

    network: MLP
    x: Float[Tensor, "n 2"]
    labels: Int64[Tensor, " n"]


def draw_surfaces(arms: Mapping[str, TrainedSpiral], inputs: Box, layer: str, path: Path) -> None:
    """Input space above hidden space for each arm, in bands of four arms.

    Black dots are the representations of inputs drawn uniformly from the input's range. The shown part of the hidden
    space is the box of the training examples' representations and a tenth more on each side.
    """
    bands = -(-len(arms) // COLUMNS)
    figure = Figure(figsize=(8, 4.2 * bands + 0.4), layout="constrained")
    grid = figure.subplots(2 * bands, COLUMNS, squeeze=False)
    low, high = (torch.tensor(side) for side in zip(*inputs, strict=True))
    uniform = low + (high - low) * torch.rand(1000, 2, generator=torch_stream(0, "uniform inputs"))  # (m, 2)
    for i, (name, arm) in enumerate(arms.items()):
        above, below = (grid[2 * (i // COLUMNS) + row, i % COLUMNS] for row in (0, 1))
        draw_surface(above, arm.network, inputs, arm.x, arm.labels)
        hidden, dots = (activations(arm.network, layer, [points]) for points in (arm.x, uniform))
        draw_surface(below, after(arm.network, layer), _widened(box_of(hidden)), hidden, arm.labels, dots)
        above.set_title(name, fontsize=9)
        for axes in (above, below):
            axes.tick_params(labelsize=7)
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.yaxis.set_major_locator(MaxNLocator(3))
        if i % COLUMNS == 0:
            above.set_ylabel("input space", fontsize=9)
            below.set_ylabel("hidden space (bottleneck)", fontsize=9)
    bar = figure.colorbar(grid[0, 0].images[0], ax=grid, location="bottom", aspect=50, shrink=0.7)
    bar.set_ticks([0, 0.05, 0.25, 0.45, 0.55, 0.75, 0.95, 1])
    bar.set_label("probability of the blue class", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    save_small(figure, path)


def _widened(box: Box) -> Box:
    (x_low, x_high), (y_low, y_high) = box
    x, y = (x_high - x_low) / 10, (y_high - y_low) / 10
    return (x_low - x, x_high + x), (y_low - y, y_high + y)


def draw_spectra(spectra: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], path: Path) -> None:
    """Singular values of one class's centred representations, mean over classes and seeds, for each layer and arm.

    Args:
        spectra: by arm and layer, one spectrum a seed.
        path: where the PNG goes.
    """
    layers = list(next(iter(spectra.values())))
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    for axes, layer in zip(figure.subplots(1, len(layers), width_ratios=[2, 1]), layers, strict=True):
        for name, of in spectra.items():
            mean = np.mean(of[layer], axis=0)[:10]
            width = 2.2 if "Manifold" in name or name == "vanilla" else 1
            axes.plot(range(1, len(mean) + 1), mean, marker="o", markersize=3, linewidth=width, label=name)
        axes.set(yscale="log", xlabel="rank of the singular value", title=f"layer {layer}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("singular value of a class")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    save_small(figure, path)
