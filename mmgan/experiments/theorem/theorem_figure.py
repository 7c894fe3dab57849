"""Figure of Theorem 1 and Corollary 1: the loss by dim(H), and the number of directions left to a class."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from mmgan.analysis.plots import DOTS_PER_INCH
from mmgan.analysis.png import save_png
from mmgan.experiments.theorem.theorem_findings import RANK_TOLERANCE

LOWEST = 1e-17  # of the axis; smaller singular values are drawn a little above it


def draw_theorem(
    d: int,
    built: Mapping[int, Mapping[str, Any]],
    linear: Mapping[int, Sequence[Mapping[str, Any]]],
    networks: Mapping[int, Sequence[Mapping[str, Any]]],
    path: Path,
) -> None:
    """Left: losses, means over seeds. Right: the centred spectrum of a class, mean over classes and seeds.

    Args:
        d: number of classes.
        built: "loss" of the closed form by dim(H).
        linear: by dim(H), and of every seed, "loss" and "centred_class_singular_values" of a trained linear f.
        networks: the same of networks as f.
        path: where the PNG goes.
    """
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(list(built), [of["loss"] for of in built.values()], color="tab:blue", label="closed form, linear f")
    drawn = ((linear, "o", "tab:blue", "trained, linear f"), (networks, "s", "tab:orange", "trained, network as f"))
    for trained, marker, colour, label in drawn:
        means = [statistics.fmean(one["loss"] for one in runs) for runs in trained.values()]
        left.plot(list(trained), means, marker, color=colour, label=label)
    left.set(ylabel="Manifold Mixup loss (squared error)", ylim=(-0.015, None))
    for dim, runs in linear.items():
        spectrum = torch.tensor([one["centred_class_singular_values"] for one in runs]).mean(dim=0)  # (r,)
        shown = spectrum.clamp_min(2 * LOWEST)
        right.plot([dim] * len(shown), shown, "o", color="tab:blue", alpha=0.6, markersize=5)
    right.axhspan(LOWEST, RANK_TOLERANCE, color="0.93", zorder=0)
    right.text(min(built), RANK_TOLERANCE / 3, "counted as 0", fontsize=9, color="0.3", va="top")
    right.set(yscale="log", ylim=(LOWEST, 30), ylabel="singular values of a class about its mean")
    right.set_title("trained, linear f", fontsize=10)
    for axes in (left, right):
        axes.axvline(d - 1, color="0.5", linestyle="--", label=f"dim(H) = d - 1 = {d - 1}", zorder=0)
        axes.set(xlabel="dim(H), dimensions of the hidden space", xticks=list(built))
    left.set_title(f"d = {d} classes", fontsize=10)
    left.legend(fontsize=9)
    save_png(figure, path, DOTS_PER_INCH)
