"""`mmgan reproduce theorem`: Theorem 1 and Corollary 1, in closed form and by training (Section 3.1)."""

from typing import Any

import torch
from torch import Tensor, nn

from mmgan.analysis.spectra import average_spectrum, class_singular_values
from mmgan.draws import global_stream
from mmgan.experiments.framework.outcome import Outcome, Place
from mmgan.experiments.theorem.minimisers import (
    closed_form,
    free_directions,
    least_linear_loss,
    mixup_loss,
    numerical_rank,
    trained,
)
from mmgan.experiments.theorem.theorem_figure import draw_theorem
from mmgan.experiments.theorem.theorem_findings import NOTES, RANK_TOLERANCE, ZERO, compare_theorem

ALPHA = 2.0  # of the law of lam; the theorem holds for any
CLASSES = 5
DIMENSIONS = range(1, 9)  # around d - 1 = 4
BUILT = {CLASSES: DIMENSIONS, 10: range(1, 15)}  # dim(H) by number of classes
PER_CLASS = 6  # points: 4 free directions need at least 5 to be seen
LINEAR_STEPS = 800
NETWORK_STEPS = 800
NETWORK_WIDTH = 64
NETWORK_DIMENSIONS = range(1, CLASSES - 1)
NETWORK_PER_CLASS = 2


def run(place: Place) -> Outcome:
    """Build and train minimisers of the Manifold Mixup loss for dim(H) below, at and above d - 1.

    The paper gives no setting, so both scales are the same. The loss is l(u, v) = |u - v|^2: the proof needs l(u, u) =
    0, which cross-entropy against soft labels lacks, and outputs that are linear in h, which softmax is not.
    """
    seeds = range(1 if place.quick else 3)
    linear_steps = LINEAR_STEPS // (4 if place.quick else 1)
    network_steps = NETWORK_STEPS // (40 if place.quick else 1)
    built = {d: {dim: _build(d, dim) for dim in dims} for d, dims in BUILT.items()}
    place.say("theorem: linear f")
    linear = {dim: [_train(dim, seed, linear_steps, 0) for seed in seeds] for dim in DIMENSIONS}
    place.say("theorem: network as f")
    networks = {dim: [_train(dim, seed, network_steps, NETWORK_WIDTH) for seed in seeds] for dim in NETWORK_DIMENSIONS}
    draw_theorem(CLASSES, built[CLASSES], linear, networks, place.folder / "theorem.png")
    values = {
        "settings": {
            "alpha": ALPHA,
            "classes_trained": CLASSES,
            "points_per_class": {"linear": PER_CLASS, "network": NETWORK_PER_CLASS},
            "steps": {"linear": linear_steps, "network": network_steps},
            "network_widths": [NETWORK_WIDTH, NETWORK_WIDTH],
            "seeds": list(seeds),
            "loss_called_zero_below": ZERO,
            "singular_value_counted_as_zero_below": RANK_TOLERANCE,
        },
        "closed_form": {str(d): {str(dim): of for dim, of in found.items()} for d, found in built.items()},
        "trained_linear": {str(dim): found for dim, found in linear.items()},
        "trained_network": {str(dim): found for dim, found in networks.items()},
    }
    return Outcome(compare_theorem(CLASSES, built, linear, networks), values, ["theorem.png"], NOTES)


def _build(d: int, dim: int) -> dict[str, Any]:
    """The proof's minimiser, with all points at their class's column of H, then moved along the free directions."""
    a, h, b = closed_form(d, dim, seed=0)
    classes = torch.arange(d).repeat(max(PER_CLASS, dim - d + 3))  # (n,); more than the free directions of each class
    y = torch.eye(d, dtype=torch.float64)[classes]  # (n, d)
    moved = free_directions(a, h, classes, seed=0)

    def f(points: Tensor) -> Tensor:
        return points @ a + b

    spectra = class_singular_values(moved, classes, center=True)
    return {
        "loss": float(mixup_loss(f, h.T[classes], y, ALPHA, 2)),
        "loss_moved_along_free_directions": float(mixup_loss(f, moved, y, ALPHA, 2)),
        "least_loss_of_linear_f": least_linear_loss(d, dim, len(y), ALPHA),
        "ranks_of_classes": sorted({numerical_rank(values) for values in spectra.values()}),
    }


def _train(dim: int, seed: int, steps: int, width: int) -> dict[str, Any]:
    """Free points with a linear f (width 0) or a network of two hidden layers as f."""
    per_class, nodes, lr = (NETWORK_PER_CLASS, 8, 0.01) if width else (PER_CLASS, 2, 0.1)
    classes = torch.arange(CLASSES).repeat(per_class)  # (n,)
    y = torch.eye(CLASSES, dtype=torch.float64)[classes]  # (n, d)
    with global_stream(seed, "network", step=dim):
        f = nn.Sequential(nn.Linear(dim, CLASSES))
        if width:
            f = nn.Sequential(
                nn.Linear(dim, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, CLASSES)
            )
    f.double()
    h = trained(f, y, dim, ALPHA, nodes=nodes, steps=steps, lr=lr, seed=seed)
    spectra = class_singular_values(h, classes, center=True)
    with torch.no_grad():
        loss = float(mixup_loss(f, h, y, ALPHA, 32 if width else 2))  # many more lam than a network was trained on
    return {
        "loss": loss,
        "least_loss_of_linear_f": least_linear_loss(CLASSES, dim, len(y), ALPHA),
        "centred_class_singular_values": average_spectrum(spectra).tolist(),
        "rank_of_each_class": [numerical_rank(values, RANK_TOLERANCE) for values in spectra.values()],
    }
