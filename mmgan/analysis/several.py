"""Several comparisons at once: p-values of paired seeds, and Holm's correction of them."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from mmgan.analysis.seeds import paired_difference


def paired_p_value(a: Sequence[float], b: Sequence[float]) -> float:
    """The two-sided p-value of Student's paired t test, below 0.05 exactly where `paired_difference` excludes 0.

    Differences that are all equal give 0, or 1 where they are 0.

    Raises:
        UserError: as `paired_difference`.
    """
    d = paired_difference(a, b)
    if d.sd == 0:
        return 1.0 if d.mean == 0 else 0.0
    p: float = stats.t.sf(abs(d.mean) / d.sd * d.n**0.5, d.n - 1)
    return 2 * float(p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: rejecting all at or below 0.05 errs in any of them with probability 0.05 at most.

    Sorted upwards, the i-th of m is multiplied by m - i + 1, made no smaller than the one before it, and cut at 1
    (Holm 1979, A simple sequentially rejective multiple test procedure).
    """
    m = len(p_values)
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values, dtype=np.float64)[order] * (m - np.arange(m))
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(p) for p in adjusted]
