"""Minimisers of the Manifold Mixup loss over free hidden points (Equation 2): in closed form, and by training."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from jaxtyping import Float64, Int64
from scipy.special import roots_jacobi
from torch import Tensor, nn

from mmgan.draws import numpy_stream
from mmgan.errors import TrainingFailed

Function = Callable[[Tensor], Tensor]


def mixup_loss(
    f: Function, h: Float64[Tensor, "n k"], y: Float64[Tensor, "n d"], alpha: float, nodes: int
) -> Float64[Tensor, ""]:
    """J of Theorem 1 for l(u, v) = |u - v|^2: the mean over all pairs i < j and over lam ~ Beta(alpha, alpha).

    The law is symmetric in lam and 1 - lam, so pairs i > j would give the same again.

    Args:
        f: points (m, k) -> outputs (m, d).
        h: hidden points g(x_i).
        y: their one-hot labels.
        alpha: of the law of lam.
        nodes: of the Gauss-Jacobi quadrature over lam; exact for polynomials in lam up to degree 2 nodes - 1, so from
            2 nodes on for linear f.
    """
    lam, weight = _quadrature(alpha, nodes)
    lam = lam.view(-1, 1, 1)  # (q, 1, 1)
    i, j = torch.triu_indices(len(h), len(h), offset=1)
    mixed_h, mixed_y = (lam * v[i] + (1 - lam) * v[j] for v in (h, y))  # (q, pairs, k), (q, pairs, d)
    error = (f(mixed_h.flatten(0, 1)) - mixed_y.flatten(0, 1)).square().sum(1)  # (q * pairs,)
    return (weight @ error.view(len(lam), -1)).mean()


@cache
def _quadrature(alpha: float, nodes: int) -> tuple[Tensor, Tensor]:
    """Values of lam ~ Beta(alpha, alpha) and their weights, which sum to 1."""
    roots, weights = roots_jacobi(nodes, alpha - 1, alpha - 1)  # the density of 2 lam - 1 on [-1, 1]
    return torch.from_numpy((roots + 1) / 2), torch.from_numpy(weights / weights.sum())  # (q,), (q,)


def closed_form(
    d: int, dim: int, seed: int
) -> tuple[Float64[Tensor, "dim d"], Float64[Tensor, "dim d"], Float64[Tensor, " d"]]:
    """A, H, b with A^T H + b 1^T = I if dim >= d - 1, and otherwise as close to I as rank `dim` allows.

    With b = 1/d the rest, I - 1 1^T / d, is a projection of rank d - 1, and its singular value decomposition gives A
    and H; by Eckart and Young's theorem no linear f does better for fewer dimensions. H is turned by a random rotation,
    so that no direction of A's null space is an axis.

    Args:
        d: number of classes.
        dim: dim(H), at least 1.
        seed: of the rotation.
    """
    u, s, vt = np.linalg.svd(np.eye(d) - 1 / d)
    kept = min(dim, d - 1)
    a, h = np.zeros((dim, d)), np.zeros((dim, d))
    a[:kept], h[:kept] = u[:, :kept].T, s[:kept, None] * vt[:kept]
    q = np.linalg.qr(numpy_stream(seed, "rotation").normal(size=(dim, dim)))[0]
    return torch.from_numpy(q @ a), torch.from_numpy(q @ h), torch.full((d,), 1 / d, dtype=torch.float64)


def least_linear_loss(d: int, dim: int, n: int, alpha: float) -> float:
    """The least J of a linear f for n points, with equally many points in each class.

    J depends on the residuals r_i = f(h_i) - y_i alone: 2 (E[lam^2] - E[lam (1 - lam)] / (n - 1)) mean |r_i|^2 plus a
    multiple of |mean r_i|^2, which b makes 0; and mean |r_i|^2 is at least (d - 1 - dim) / d, since each of the d - 1
    directions between the classes that does not fit into dim(H) leaves 1/d.
    """
    square, product = (alpha + 1) / (2 * (2 * alpha + 1)), alpha / (2 * (2 * alpha + 1))
    return 2 * (square - product / (n - 1)) * max(d - 1 - dim, 0) / d


def free_directions(
    a: Float64[Tensor, "dim d"], h: Float64[Tensor, "dim d"], classes: Int64[Tensor, " n"], seed: int
) -> Float64[Tensor, "n dim"]:
    """Corollary 1: the points H_i + e_i, each displaced by its own normal e_i in the null space of A^T."""
    rank = numerical_rank(torch.linalg.svdvals(a))
    basis = torch.linalg.svd(a).U[:, rank:]  # (dim, dim - rank)
    e = torch.from_numpy(numpy_stream(seed, "displacements").normal(size=(len(classes), basis.shape[1])))
    moved: Tensor = h.T[classes] + e @ basis.T  # (n, dim)
    return moved


def numerical_rank(singular_values: Float64[Tensor, " r"], tolerance: float = 1e-10) -> int:
    """The number of singular values above `tolerance` times the largest, and above `tolerance` itself."""
    largest = max(float(singular_values.max()), 1.0)
    return int((singular_values > tolerance * largest).sum())


def trained(
    f: nn.Module, y: Float64[Tensor, "n d"], dim: int, alpha: float, *, nodes: int, steps: int, lr: float, seed: int
) -> Float64[Tensor, "n dim"]:
    """Train f (in place) and free points with a normal start together on `mixup_loss`, in float64.

    Adam with all pairs in every step; the learning rate falls to 0 along a cosine.

    Returns:
        The points.

    Raises:
        TrainingFailed: if the loss is not finite at the end.
    """
    h = torch.from_numpy(numpy_stream(seed, "points", step=dim).normal(size=(len(y), dim))).requires_grad_()
    optimizer = torch.optim.Adam([h, *f.parameters()], lr, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        loss = mixup_loss(f, h, y, alpha, nodes)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    if not bool(loss.isfinite()):
        raise TrainingFailed(
            f"the loss of the points in {dim} dimensions is not finite: choose a smaller learning rate"
        )
    return h.detach()
