"""The Frechet distance between two sets of features (Heusel et al. 2017, Equation 6)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float32
from torch import Tensor

Array = npt.NDArray[np.float64]

ROWS = 16_384
"""Up to this many rows use torch-fidelity's statistics; more are streamed, because its float64 copy would not fit."""

SINGULAR = 1e-6
"""Ratio of a Cholesky factor's diagonal entries below which a covariance counts as singular."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean (d,), covariance (d, d), both float64, and number of rows of a set of features."""

    mean: Array
    covariance: Array
    count: int

    @property
    def rank_deficient(self) -> bool:
        """Whether there are too few rows for a covariance of full rank; its FID is then strongly biased upwards."""
        return self.count <= len(self.mean)


def moments(features: Float32[Tensor, "n d"]) -> Moments:
    """Mean and unbiased covariance, summed in float64 with bounded memory; n >= 2."""
    n = len(features)
    if n <= ROWS:
        from torch_fidelity.metric_fid import fid_features_to_statistics  # here: it takes three seconds

        statistics = fid_features_to_statistics(features)
        return Moments(statistics["mu"].astype(np.float64), statistics["sigma"], n)
    rows = features.numpy()
    blocks = [slice(first, first + ROWS // 4) for first in range(0, n, ROWS // 4)]
    mean = sum(rows[block].sum(0, dtype=np.float64) for block in blocks) / n  # (d,)
    covariance = np.zeros((rows.shape[1], rows.shape[1]))
    for block in blocks:
        x = rows[block] - mean  # (rows, d), float64
        covariance += x.T @ x
    return Moments(mean, covariance / (n - 1), n)


def frechet_distance(fake: Moments, real: Moments) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    With C1 = L1 L1^T and C2 = L2 L2^T the eigenvalues of C1 C2 are those of the symmetric K^T K, K = L2^T L1, at a
    third of the cost. Where a covariance is singular, torch-fidelity's own function decides: square roots of
    eigenvalues that are zero but for rounding show in the sixth digit or so, and are then at least the same as there.
    A distance that rounding makes negative is zero.
    """
    if not (fake.rank_deficient or real.rank_deficient):
        L1, L2 = _cholesky(fake.covariance), _cholesky(real.covariance)
        if L1 is not None and L2 is not None:
            import scipy.linalg

            K = scipy.linalg.blas.dtrmm(1.0, L2, L1, lower=1, trans_a=1)
            eigenvalues = torch.linalg.eigvalsh(torch.from_numpy(K.T @ K)).numpy()  # (d,); a fifth faster than NumPy's
            diff = fake.mean - real.mean
            traces = np.trace(fake.covariance) + np.trace(real.covariance)
            return max(0.0, float(diff @ diff + traces - 2 * np.sqrt(eigenvalues.clip(min=0)).sum()))
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

    first, second = ({"mu": m.mean, "sigma": m.covariance} for m in (fake, real))
    return max(0.0, float(fid_statistics_to_metric(first, second, verbose=False)[KEY_METRIC_FID]))


def _cholesky(covariance: Array) -> Array | None:
    """The lower factor, or None if the matrix is singular to working precision."""
    factor, failed = torch.linalg.cholesky_ex(torch.from_numpy(covariance))
    L: Array = factor.numpy()
    if failed:
        return None
    diagonal = L.diagonal()
    return None if diagonal.min() < SINGULAR * diagonal.max() else L
