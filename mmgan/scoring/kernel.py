"""The kernel distance between two sets of features (Binkowski et al. 2018): torch-fidelity's numbers, sooner."""

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

MOST_ENTRIES = 100_000_000
"""The most float32 entries of a kernel matrix in memory, 400 MB; larger ones are computed subset by subset."""


def kernel_distance(
    fake: Float32[Tensor, "n d"], real: Float32[Tensor, "m d"], *, subsets: int, size: int, seed: int
) -> dict[str, float]:
    """Mean and deviation of the squared maximum mean discrepancy over random subsets of `size` rows of each set.

    torch-fidelity multiplies the features of every pair of subsets again. If the two sets have fewer kernel values than
    all subsets together, this function computes them once and each subset looks up its own: the same rows in the same
    order, so that rounding is the same.
    """
    from torch_fidelity.metric_kid import (  # here: it takes three seconds
        KEY_METRIC_KID_MEAN,
        KEY_METRIC_KID_STD,
        kernel_poly,
        kid_features_to_metric,
        mmd2,
    )

    n, m = len(fake), len(real)
    entries = n * n + n * m + m * m
    if entries > min(MOST_ENTRIES, 3 * subsets * size * size):
        found: dict[str, float] = kid_features_to_metric(
            fake, real, kid_subsets=subsets, kid_subset_size=size, rng_seed=seed, verbose=False
        )
        return found
    pairs = ((fake, fake), (fake, real), (real, real))
    K_XX, K_XY, K_YY = (torch.from_numpy(kernel_poly(x.numpy(), y.numpy())) for x, y in pairs)
    rng = np.random.RandomState(seed)  # drawn from as torch-fidelity does
    distances = []
    for _ in range(subsets):
        i, j = (torch.from_numpy(rng.choice(count, size, replace=False)) for count in (n, m))
        distances.append(mmd2(_part(K_XX, i, i), _part(K_XY, i, j), _part(K_YY, j, j)))
    return {KEY_METRIC_KID_MEAN: float(np.mean(distances)), KEY_METRIC_KID_STD: float(np.std(distances))}


def _part(K: Float32[Tensor, "n m"], rows: Tensor, columns: Tensor) -> np.ndarray:
    return K.index_select(0, rows).index_select(1, columns).numpy()
