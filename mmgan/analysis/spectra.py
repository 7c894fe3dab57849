"""Singular values of representations: how flat is each class? (Section 3.2; Appendix G, Figures 9 to 12)

What is decomposed: the matrix of one class's representations, a row an example, as it is. Nothing is divided by
sqrt(n), so values grow as sqrt(n): compare networks on the same examples. The paper says no more than "the
representation for each class", and the released code has no script for it; so by default nothing is centred, and the
largest value is mostly the length of the class's mean. `center=True` subtracts the mean (of the class, or overall),
which leaves the variability that Section 3.1 is about.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from mmgan.analysis.input_checks import check_features


@dataclass(frozen=True)
class SpectrumSummary:
    """The two numbers of Section 3.2.

    Attributes:
        largest: the largest singular value.
        rest: the sum of all the others.
    """

    largest: float
    rest: float


def singular_values(features: Float[Tensor, "n d"], *, center: bool = False) -> Float64[Tensor, " r"]:
    """Singular values of all rows together, largest first, r = min(n, d), in float64 on the CPU (Figure 12).

    Args:
        features: representations, (N, D).
        center: subtract the mean row first.

    Raises:
        UserError: for another shape, or values that are not finite.
    """
    check_features(features, torch.zeros(len(features), dtype=torch.int64))
    h = features.detach().cpu().double()
    if center:
        h = h - h.mean(dim=0)
    values: Tensor = torch.linalg.svdvals(h)
    return values


def class_singular_values(
    features: Float[Tensor, "n d"], labels: Int[Tensor, " n"], *, center: bool = False
) -> dict[int, Float64[Tensor, " _"]]:
    """Singular values of each class's rows alone, by label (Figures 9 to 11); classes without a row are left out.

    Args:
        features: representations, (N, D).
        labels: their classes, (N,).
        center: subtract the class's mean row first.

    Raises:
        UserError: for what `check_features` refuses.
    """
    check_features(features, labels)
    return {c: singular_values(features[labels == c], center=center) for c in sorted(set(labels.tolist()))}


def summarize(values: Float[Tensor, " r"]) -> SpectrumSummary:
    """The largest value and the sum of the rest of one spectrum (Section 3.2)."""
    return SpectrumSummary(largest=float(values.max()), rest=float(values.sum() - values.max()))


def average_summary(spectra: Mapping[int, Float[Tensor, " _"]]) -> SpectrumSummary:
    """Both numbers of `summarize`, averaged over classes: the figures of Section 3.2."""
    each = [summarize(values) for values in spectra.values()]
    return SpectrumSummary(sum(s.largest for s in each) / len(each), sum(s.rest for s in each) / len(each))


def average_spectrum(spectra: Mapping[int, Float[Tensor, " _"]]) -> Float64[Tensor, " r"]:
    """The i-th largest singular value, averaged over classes; a class with fewer rows than that counts as 0 there."""
    longest = max(len(values) for values in spectra.values())
    padded = [torch.nn.functional.pad(values, (0, longest - len(values))) for values in spectra.values()]
    return torch.stack(padded).mean(dim=0)  # (classes, r) -> (r,)
