"""Figure 5: hidden test images by class, a row a task and a column an arm."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from mmgan.draws import torch_stream
from mmgan.experiments.framework.figures import save_small

SHOWN = 4000
"""Test images drawn for each network: more would cover each other and enlarge the file."""


@dataclass(frozen=True, eq=False)
class Cloud:
    """One network's hidden test images, their classes, and its test error in percent."""

    hidden: Float[Tensor, "n 2"]
    labels: Int64[Tensor, " n"]
    test_error: float


def draw_clouds(clouds: Mapping[str, Mapping[str, Cloud]], path: Path) -> None:
    """Scatter plots by task (rows) and arm (columns), each with one scale for both axes.

    Each panel spans the middle 99.8 % of both coordinates: a few far images would squeeze all others.
    """
    columns = len(next(iter(clouds.values())))
    figure = Figure(figsize=(8, 2.8 * len(clouds) + 0.5), layout="constrained")
    grid = figure.subplots(len(clouds), columns, squeeze=False)
    most = max(int(cloud.labels.max()) for arms in clouds.values() for cloud in arms.values()) + 1
    for (task, arms), row in zip(clouds.items(), grid, strict=True):
        for (name, cloud), axes in zip(arms.items(), row, strict=True):
            order = torch.randperm(len(cloud.hidden), generator=torch_stream(0, "drawn images"))[:SHOWN]
            points, labels = cloud.hidden[order], cloud.labels[order]
            axes.scatter(points[:, 0], points[:, 1], c=[to_hex(f"C{c}") for c in labels.tolist()], s=2.5, linewidths=0)
            low, high = (cloud.hidden.quantile(q, dim=0) for q in (0.001, 0.999))
            (x, y), half = ((low + high) / 2).tolist(), 0.55 * float((high - low).max())
            axes.set(xlim=(x - half, x + half), ylim=(y - half, y + half), aspect="equal")
            axes.set_title(f"{name}, error {cloud.test_error:.1f} %", fontsize=9)
            axes.tick_params(labelsize=7)
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.yaxis.set_major_locator(MaxNLocator(4))
        row[0].set_ylabel(f"{task}\nhidden unit 2", fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("hidden unit 1", fontsize=9)
    marks = [Line2D([], [], marker="o", linestyle="", markersize=5, color=f"C{c}", label=str(c)) for c in range(most)]
    figure.legend(handles=marks, loc="outside lower center", ncols=most, fontsize=8, handletextpad=0.1)
    save_small(figure, path)
