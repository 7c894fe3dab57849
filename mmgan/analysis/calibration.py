"""Reliability curve and expected calibration error.

The paper mentions calibration (Appendix A) and measures it by the likelihood. The two measures here are those of
Guo et al. 2017, "On Calibration of Modern Neural Networks", Section 2.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from mmgan.analysis.input_checks import check_logits
from mmgan.errors import UserError


@dataclass(frozen=True)
class ReliabilityCurve:
    """Confidence against accuracy in B equal-width bins of confidence; bin b is (edges[b], edges[b + 1]].

    Attributes:
        edges: B + 1 edges from 0 to 1.
        count: examples in each bin.
        confidence: mean confidence in each bin, in [0, 1]; None where the bin is empty.
        accuracy: share of right answers in each bin, in [0, 1]; None where the bin is empty.
    """

    edges: tuple[float, ...]
    count: tuple[int, ...]
    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]

    @property
    def expected_calibration_error(self) -> float:
        """Mean over examples of |accuracy - confidence| of their bin, in [0, 1] (Guo et al. 2017, Equation 3)."""
        gaps = (
            n * abs(acc - conf)
            for n, acc, conf in zip(self.count, self.accuracy, self.confidence, strict=True)
            if acc is not None and conf is not None
        )
        return sum(gaps) / sum(self.count)


def reliability_curve(logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"], bins: int = 15) -> ReliabilityCurve:
    """The curve of a reliability diagram; the confidence of a row is the largest of its softmax, in float64.

    Raises:
        UserError: if bins < 1, or for what `check_logits` refuses.
    """
    check_logits(logits, labels)
    if bins < 1:
        raise UserError(f"{bins} bins cannot hold a reliability curve: choose 1 or more")
    conf, predicted = logits.detach().double().softmax(dim=1).max(dim=1)
    confidence, right = conf.cpu().numpy(), (predicted == labels).double().cpu().numpy()
    edges = np.linspace(0, 1, bins + 1)
    inside = np.searchsorted(edges[1:-1], confidence, side="left")  # bin of each row; an edge belongs to the bin below
    count = np.bincount(inside, minlength=bins)
    sums = [np.bincount(inside, weights=values, minlength=bins) for values in (confidence, right)]
    means = [
        tuple(float(total / n) if n else None for total, n in zip(of, count, strict=True))  # one item a bin
        for of in sums
    ]
    return ReliabilityCurve(tuple(edges.tolist()), tuple(count.tolist()), *means)


def expected_calibration_error(logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"], bins: int = 15) -> float:
    """Expected calibration error in [0, 1] with B equal-width bins; see `reliability_curve`."""
    return reliability_curve(logits, labels, bins).expected_calibration_error
