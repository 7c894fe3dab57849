"""Theorem 1 and Corollary 1: lines of the table, and the notes below it."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmgan.experiments.framework.outcome import Finding
from mmgan.experiments.framework.verdicts import conclude

ZERO = 1e-12  # a loss below it is called 0; rounding leaves about 1e-30 of losses near 0.1
RANK_TOLERANCE = 1e-6  # a singular value of trained points below it counts as 0; those of free directions are near 1

NOTES = [
    "The loss is |u - v|^2. The proof needs l(u, u) = 0 and outputs linear in h: soft cross-entropy of softmax outputs"
    " has neither, so the theorem says nothing about its minimisers.",
    "Theorem 1 says that dim(H) ≥ d - 1 suffices (Section 3.1 opens with more than d dimensions: too many). Below"
    " d - 1, a linear f cannot reach 0, and the smallest loss is known exactly. But the theorem allows any f, and a"
    " nonlinear f needs fewer dimensions. In three or more dimensions, segments between points in general position meet"
    " only at their ends. In two dimensions they cross at single points, which lam hits with probability 0. So d - 1 is"
    " the threshold for linear f only. The networks trained in fewer dimensions are nonlinear.",
    "For the same reason Corollary 1, stated for every minimiser, holds for those with a linear f. Its subspace is an"
    " affine one for each class, and its dimension is an upper limit: if a minimiser's A has rank d, one direction"
    " fewer is free.",
]


def compare_theorem(
    d: int,
    built: Mapping[int, Mapping[int, Mapping[str, Any]]],
    linear: Mapping[int, Sequence[Mapping[str, Any]]],
    networks: Mapping[int, Sequence[Mapping[str, Any]]],
) -> list[Finding]:
    """The table.

    Args:
        d: number of classes of all that was trained.
        built: the closed form by number of classes and dim(H).
        linear: by dim(H), for every seed, the numbers of points trained with a linear f.
        networks: the same with a network as f.
    """
    return [*_of_closed_form(built), *_of_linear(d, linear), _of_networks(d, networks)]


def _of_closed_form(built: Mapping[int, Mapping[int, Mapping[str, Any]]]) -> list[Finding]:
    enough = [(dim - d + 1, of) for d, found in built.items() for dim, of in found.items() if dim >= d - 1]
    short = [of["loss"] for d, found in built.items() for dim, of in found.items() if dim < d - 1]
    worst = max(of["loss"] for _, of in enough)
    moved = max(of["loss_moved_along_free_directions"] for _, of in enough)
    free = all(of["ranks_of_classes"] == [expected] for expected, of in enough)
    at, at_most = (
        ", ".join(f"{_span([dim for dim in found if (dim >= d - 1) == above])} (d = {d})" for d, found in built.items())
        for above in (True, False)
    )
    rank = "the proof's f and g, same dim(H): rank of each class's points about their mean, moved in A's null space"
    ours = f"{'dim(H) - d + 1' if free else 'not so'}, and the loss is {moved:.0e}"
    return [
        conclude(f"loss of the proof's f and g, dim(H) = {at}", "0 (Theorem 1)", f"≤ {worst:.0e}", 1, worst < ZERO),
        conclude(rank, "dim(H) - d + 1 (Corollary 1)", ours, 1, free and moved < ZERO),
        conclude(f"least loss of any linear f, dim(H) = {at_most}", "", f"≥ {min(short):.3f}", 1, None),
    ]


def _of_linear(d: int, linear: Mapping[int, Sequence[Mapping[str, Any]]]) -> list[Finding]:
    enough, short = [dim for dim in linear if dim >= d - 1], [dim for dim in linear if dim < d - 1]
    below = [one for dim in short for one in linear[dim]]
    n, losses = len(linear[d - 1]), [one["loss"] for one in below]
    worst = max(one["loss"] for dim in enough for one in linear[dim])
    excess = max(abs(one["loss"] / one["least_loss_of_linear_f"] - 1) for one in below)
    ranks = {dim: sorted({rank for one in linear[dim] for rank in one["rank_of_each_class"]}) for dim in enough}
    what, above = "points and a linear f, trained:", f"dim(H) = {_span(enough)} (d = {d})"
    least = f"{max(losses):.3f} to {min(losses):.3f}, the least possible but for a share of {excess:.0e}"
    limits = f"at most {', '.join(str(dim - d + 1) for dim in enough)} (Corollary 1)"
    found = ", ".join("/".join(map(str, ranks[dim])) for dim in enough)
    fits = all(max(ranks[dim]) <= dim - d + 1 for dim in enough)
    return [
        conclude(f"{what} loss, {above}", "0 (Theorem 1)", f"≤ {worst:.0e}", n, worst < ZERO),
        conclude(f"{what} loss, dim(H) = {_span(short)} (d = {d})", "", least, n, None),
        conclude(f"{what} rank of each class about its mean, {above}", limits, found, n, fits),
    ]


def _of_networks(d: int, networks: Mapping[int, Sequence[Mapping[str, Any]]]) -> Finding:
    runs = networks[d - 2]
    low, high = (of(one["loss"] for one in runs) for of in (min, max))
    what = f"points and a network as f, trained: loss, dim(H) = {d - 2} < d - 1 (d = {d})"
    ours = f"{low:.4f} to {high:.4f}, against at least {runs[0]['least_loss_of_linear_f']:.3f} with a linear f"
    return conclude(what, "", ours, len(runs), None)


def _span(dims: Sequence[int]) -> str:
    return f"{min(dims)} to {max(dims)}"
