"""`mmgan reproduce theorem`: Theorem 1 and Corollary 1, in closed form and by training (Section 3.1)."""

from typing import Any

import torch
from torch import nn

from mmgan.analysis.spectra import average_spectrum, class_singular_values
from mmgan.draws import global_stream
from mmgan.experiments.experiment import Finding, Outcome, Place, Verdict
from mmgan.experiments.minimisers import (
    closed_form,
    free_directions,
    least_linear_loss,
    mixup_loss,
    numerical_rank,
    trained,
)
from mmgan.experiments.theorem_figure import draw_losses

ALPHA = 2.0  # of the law of lam; the theorem holds for any
CLASSES = 5
DIMENSIONS = range(1, 9)  # around d - 1 = 4
PER_CLASS = 6  # points: 4 free directions need at least 5 to be seen
LINEAR_STEPS = 1000
NETWORK_STEPS = 1000
NETWORK_WIDTH = 64
NETWORK_DIMENSIONS = range(1, 5)
NETWORK_PER_CLASS = 2
ZERO = 1e-12  # a loss below it is called 0; rounding leaves about 1e-31 of losses near 0.1
RANK_TOLERANCE = 1e-6

NOTES = [
    "The loss is |u - v|^2. The proof needs l(u, u) = 0 and outputs linear in h; soft cross-entropy of softmax outputs"
    " has neither, so the theorem does not speak of its minimisers.",
    "Theorem 1 is one-sided: dim(H) ≥ d - 1 suffices. With fewer dimensions a linear f cannot reach 0 (its least loss"
    " is known exactly). But the theorem allows any f, and then the least loss is 0 from two dimensions on: segments"
    " between points in general position meet at most in single points, which lam hits with probability 0. The trained"
    " network shows the way there; d - 1 is the threshold for linear f.",
    "Corollary 1's subspace is affine, one for each class, and its dimension an upper limit: where A has rank d, one"
    " direction fewer is free.",
]


def run(place: Place) -> Outcome:
    """Build and train minimisers of the Manifold Mixup loss for dim(H) below, at and above d - 1.

    The paper gives no setting, so both scales are the same. The loss is l(u, v) = |u - v|^2: the proof needs l(u, u) =
    0, which cross-entropy against soft labels lacks, and outputs that are linear in h, which softmax is not.
    """
    seeds = range(1 if place.quick else 3)
    shorter = 10 if place.quick else 1
    built = {d: {dim: _build(d, dim) for dim in dims} for d, dims in ((CLASSES, DIMENSIONS), (10, range(1, 15)))}
    place.say("theorem: linear f")
    linear = {dim: [_train(dim, seed, LINEAR_STEPS // shorter, 0) for seed in seeds] for dim in DIMENSIONS}
    place.say("theorem: network as f")
    networks = {
        dim: [_train(dim, seed, NETWORK_STEPS // shorter, NETWORK_WIDTH) for seed in seeds]
        for dim in NETWORK_DIMENSIONS
    }
    draw_losses(CLASSES, built[CLASSES], linear, networks, place.folder / "theorem.png")
    values = {
        "settings": {
            "alpha": ALPHA,
            "classes_trained": CLASSES,
            "points_per_class": {"linear": PER_CLASS, "network": NETWORK_PER_CLASS},
            "steps": {"linear": LINEAR_STEPS // shorter, "network": NETWORK_STEPS // shorter},
            "network_widths": [NETWORK_WIDTH, NETWORK_WIDTH],
            "seeds": list(seeds),
            "loss_called_zero_below": ZERO,
        },
        "closed_form": {str(d): {str(dim): of for dim, of in found.items()} for d, found in built.items()},
        "trained_linear": {str(dim): found for dim, found in linear.items()},
        "trained_network": {str(dim): found for dim, found in networks.items()},
    }
    return Outcome(_findings(built, linear, networks), values, ["theorem.png"], NOTES)


def _build(d: int, dim: int) -> dict[str, Any]:
    """The proof's minimiser, with every point where H puts its class and then moved along the free directions."""
    a, h, b = closed_form(d, dim, seed=0)
    classes = torch.arange(d).repeat(max(PER_CLASS, dim - d + 3))  # (n,); more than the free directions of each class
    y = torch.eye(d, dtype=torch.float64)[classes]
    moved = free_directions(a, h, classes, seed=0)

    def f(points: torch.Tensor) -> torch.Tensor:
        return points @ a + b

    spectra = class_singular_values(moved, classes, center=True)
    ranks = {numerical_rank(values) for values in spectra.values()}
    return {
        "loss": float(mixup_loss(f, h.T[classes], y, ALPHA, 2)),
        "loss_moved_along_free_directions": float(mixup_loss(f, moved, y, ALPHA, 2)),
        "least_loss_of_linear_f": least_linear_loss(d, dim, len(y), ALPHA),
        "rank_of_each_class": max(ranks),
    }


def _train(dim: int, seed: int, steps: int, width: int) -> dict[str, Any]:
    """Free points with a linear f (width 0) or a network of two hidden layers as f."""
    per_class, nodes, lr = (NETWORK_PER_CLASS, 8, 0.01) if width else (PER_CLASS, 2, 0.1)
    classes = torch.arange(CLASSES).repeat(per_class)  # (n,)
    y = torch.eye(CLASSES, dtype=torch.float64)[classes]
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


def _findings(
    built: dict[int, dict[int, dict[str, Any]]],
    linear: dict[int, list[dict[str, Any]]],
    networks: dict[int, list[dict[str, Any]]],
) -> list[Finding]:
    d, n = CLASSES, len(linear[1])
    enough = [of for classes, found in built.items() for dim, of in found.items() if dim >= classes - 1]
    short = [of["loss"] for classes, found in built.items() for dim, of in found.items() if dim < classes - 1]
    worst = max(of["loss"] for of in enough)
    moved = max(of["loss_moved_along_free_directions"] for of in enough)
    ranks = all(
        of["rank_of_each_class"] == dim - classes + 1
        for classes, found in built.items()
        for dim, of in found.items()
        if dim >= classes - 1
    )
    reached = max(one["loss"] for dim in linear if dim >= d - 1 for one in linear[dim])
    below = [one["loss"] for dim in linear if dim < d - 1 for one in linear[dim]]
    above_bound = max(
        abs(one["loss"] / one["least_loss_of_linear_f"] - 1) for dim in linear if dim < d - 1 for one in linear[dim]
    )
    flat = {dim: sorted({rank for one in linear[dim] for rank in one["rank_of_each_class"]}) for dim in linear}
    low = min(one["loss"] for one in networks[d - 2])
    bound = networks[d - 2][0]["least_loss_of_linear_f"]
    return [
        Finding(
            "loss of the closed-form minimiser, dim(H) ≥ d - 1 (d = 5, 10), largest",
            "0 (Theorem 1)",
            f"{worst:.0e}",
            len(enough),
            "",
            _verdict(worst < ZERO),
        ),
        Finding(
            "least loss of any linear f, dim(H) < d - 1 (d = 5, 10), smallest",
            "",
            f"{min(short):.3f}",
            len(short),
            "",
            "no number to compare with",
        ),
        Finding(
            "closed form: free directions of each class, dim(H) ≥ d - 1 (d = 5, 10)",
            "dim(H) - d + 1 (Corollary 1)",
            f"{'dim(H) - d + 1' if ranks else 'another rank'}, loss along them {moved:.0e}",
            len(enough),
            "",
            _verdict(ranks and moved < ZERO),
        ),
        Finding(
            "loss of trained points and linear f, dim(H) = 4 to 8 (d = 5), largest",
            "0 (Theorem 1)",
            f"{reached:.0e}",
            n,
            "",
            _verdict(reached < ZERO),
        ),
        Finding(
            "loss of trained points and linear f, dim(H) = 1, 2, 3 (d = 5)",
            "",
            f"{max(below):.3f} down to {min(below):.3f}, the least possible but for a share of {above_bound:.0e}",
            n,
            "",
            "no number to compare with",
        ),
        Finding(
            "trained points: rank of each class about its mean, dim(H) = 4, 5, 6, 7, 8 (d = 5)",
            "at most 0, 1, 2, 3, 4 (Corollary 1)",
            ", ".join("/".join(map(str, flat[dim])) for dim in linear if dim >= d - 1),
            n,
            "",
            _verdict(all(max(flat[dim]) <= dim - d + 1 for dim in linear if dim >= d - 1)),
        ),
        Finding(
            "loss of trained points and a network as f, dim(H) = 3 < d - 1, smallest",
            "",
            f"{low:.4f}, against {bound:.3f} for the best linear f",
            n,
            "",
            "no number to compare with",
        ),
    ]


def _verdict(agrees: bool) -> Verdict:
    return "agrees" if agrees else "disagrees"
