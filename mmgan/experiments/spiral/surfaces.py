"""Decision surfaces on a plane: the grid, the confidence on it, and the drawing (Figures 1 and 2)."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap
from torch import Tensor, nn

from mmgan.classifiers import MLP

Box = tuple[tuple[float, float], tuple[float, float]]
"""((lowest, highest) of the first coordinate, the same of the second)."""

LEVELS = [0.0, 0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95, 1.0]
"""Edges of the drawn probabilities; the two end colours mean 95 % confidence or more."""

POINT_COLOURS = ("#8c0d25", "#0b3c78")  # class 0 red, class 1 blue
SURFACE_COLOURS = LinearSegmentedColormap.from_list("surface", ["#f4a08a", "#ffffff", "#8ab8e0"], N=len(LEVELS) - 1)


def box_of(points: Float[Tensor, "n 2"]) -> Box:
    """The smallest upright box that holds all points."""
    (x_low, y_low), (x_high, y_high) = points.amin(dim=0).tolist(), points.amax(dim=0).tolist()
    return (x_low, x_high), (y_low, y_high)


def grid_over(box: Box, cells: int) -> Float[Tensor, "cells*cells 2"]:
    """Midpoints of cells x cells equal cells, rows from below: averages over them are averages over the box."""
    steps = (torch.arange(cells) + 0.5) / cells
    x, y = ((low + (high - low) * steps) for low, high in box)
    return torch.stack([x.repeat(cells), y.repeat_interleave(cells)], dim=1)  # (cells * cells, 2)


def after(network: MLP, layer: str) -> nn.Sequential:
    """The network after a hidden layer: representations (n, d) -> logits (n, classes)."""
    names = [name for name, _ in network.named_children()]
    return nn.Sequential(*list(network)[names.index(network.stages[layer]) + 1 :])


def probabilities(to_logits: Callable[[Tensor], Tensor], points: Float[Tensor, "n 2"]) -> Float[Tensor, "n classes"]:
    """Softmax of the logits, without gradients."""
    with torch.no_grad():
        return to_logits(points).softmax(dim=1)


def confidence(to_logits: Callable[[Tensor], Tensor], points: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
    """The largest class probability at each point."""
    return probabilities(to_logits, points).amax(dim=1)


def draw_surface(
    axes: Axes,
    to_logits: Callable[[Tensor], Tensor],
    box: Box,
    points: Float[Tensor, "n 2"],
    labels: Int64[Tensor, " n"],
    dots: Float[Tensor, "m 2"] | None = None,
    cells: int = 120,
) -> None:
    """Two classes' probabilities over the box as colours, with examples in their class's colour and black dots below.

    Args:
        axes: to draw on; its limits become the box.
        to_logits: points (n, 2) -> logits (n, 2), in evaluation mode.
        box: the range to show.
        points, labels: examples.
        dots: further points, drawn small and black.
        cells: of the drawn grid, along each side.
    """
    second = probabilities(to_logits, grid_over(box, cells))[:, 1].view(cells, cells)  # rows from below
    (left, right), (bottom, top) = box
    axes.imshow(
        second.numpy(),
        extent=(left, right, bottom, top),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=SURFACE_COLOURS,
        norm=BoundaryNorm(LEVELS, SURFACE_COLOURS.N),
    )
    if dots is not None:
        axes.scatter(dots[:, 0], dots[:, 1], s=1.2, color="black", linewidths=0)
    for c, colour in enumerate(POINT_COLOURS):
        chosen = points[labels == c]
        axes.scatter(chosen[:, 0], chosen[:, 1], s=4, color=colour, linewidths=0)
    axes.set(xlim=box[0], ylim=box[1])
