"""The picture of Theorem 1 and Corollary 1."""

import statistics
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from mmgan.experiments.drawing import save


def draw_losses(
    d: int,
    built: dict[int, dict[str, Any]],
    linear: dict[int, list[dict[str, Any]]],
    networks: dict[int, list[dict[str, Any]]],
    path: Path,
) -> None:
    """theorem.png: loss against dim(H), d - 1 marked; and how many directions a class of trained points takes up.

    Args:
        d: number of classes.
        built: by dim(H), what the closed form yields.
        linear, networks: by dim(H), what training with a linear f, or a network as f, yields for each seed.
        path: where the PNG goes.
    """
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(list(built), [of["loss"] for of in built.values()], color="tab:blue", label="closed form, linear f")
    for found, marker, colour, label in (
        (linear, "o", "tab:blue", "trained, linear f"),
        (networks, "s", "tab:orange", "trained, network as f"),
    ):
        means = [statistics.fmean(one["loss"] for one in found[dim]) for dim in found]
        left.plot(list(found), means, marker, color=colour, label=label)
    left.set(ylabel="Manifold Mixup loss (squared error)", ylim=(-0.015, None))
    for dim, seeds in linear.items():
        spectra = torch.tensor([one["centred_class_singular_values"] for one in seeds]).mean(0)  # (r,)
        right.plot([dim] * len(spectra), spectra.clamp_min(1e-17), "o", color="tab:blue", alpha=0.6, markersize=5)
    right.set(yscale="log", ylabel="singular values of a class about its mean")
    for axes in (left, right):
        axes.axvline(d - 1, color="0.5", linestyle="--", label="d - 1", zorder=0)
        axes.set(xlabel="dim(H)", xticks=list(built))
    left.legend(fontsize=9)
    save(figure, path)
