"""All scores from features. IS, FID, KID, precision and recall are torch-fidelity's, with its formulas and seeds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32
from torch import Tensor

from mmgan.errors import UserError
from mmgan.scoring.estimate import Estimate
from mmgan.scoring.extractors import Features
from mmgan.scoring.extrapolated import SMALLEST, frechet_extrapolated
from mmgan.scoring.frechet import Moments, frechet_distance, moments
from mmgan.scoring.gaussian import gaussian_mmd
from mmgan.scoring.influence import frechet_influences, sampling_deviation
from mmgan.scoring.jackknife import GROUPS, random_groups
from mmgan.scoring.kernel import kernel_distance
from mmgan.scoring.manifold import LEAST, manifold_scores

INCEPTION = "inception"
"""The one extractor whose scores are the Inception score, FID and KID: torch-fidelity's, with its published weights."""

FD_INFINITE = "frechet_distance_infinite"
MMD = "gaussian_mmd"


@dataclass(frozen=True)
class ScoreSettings:
    """How scores are computed. The defaults are those of torch-fidelity's command.

    Attributes:
        splits: of the samples for IS, whose mean and deviation over the splits are reported.
        kid_subsets: number of random subsets for KID.
        kid_subset_size: images a subset; fewer where there are fewer images, and the notes then say so.
        prc: also precision and recall, on the same features (torch-fidelity's command uses VGG16 for these two).
        density: also density and coverage.
        infinite: also the Frechet distance extrapolated to infinitely many samples.
        mmd: also the maximum mean discrepancy with a Gaussian kernel.
        intervals: also a 95 % interval of each score but IS and KID, which have deviations of their own.
        seed: of IS's shuffle, KID's subsets, the extrapolation's subsets and the jackknife's groups.
    """

    splits: int = 10
    kid_subsets: int = 100
    kid_subset_size: int = 1000
    prc: bool = False
    density: bool = False
    infinite: bool = False
    mmd: bool = False
    intervals: bool = False
    seed: int = 2020

    def __post_init__(self) -> None:
        for name, least in (("splits", 1), ("kid_subsets", 1), ("kid_subset_size", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise UserError(f"{name} is {getattr(self, name)}: give at least {least}")

    def check(self, fakes: int, reals: int) -> None:
        """Refuse sets too small for these scores; to be called before any work.

        Raises:
            UserError: naming the count and what is needed.
        """
        if fakes < self.splits:
            raise UserError(f"{fakes} samples cannot make {self.splits} IS splits: use as many samples or fewer splits")
        needs = [2, *[LEAST] * (self.prc or self.density), *[4] * self.infinite, *[2 * GROUPS] * self.intervals]
        least = max(needs)
        for what, count in (("samples", fakes), ("real images", reals)):
            if count < least:
                raise UserError(f"{count} {what} are too few for a score: at least {least} are needed")


@dataclass(frozen=True, eq=False)
class Reference:
    """The real side of a comparison: features (m, d) and their moments, which are costly enough to keep."""

    features: Float32[Tensor, "m d"]
    moments: Moments

    @classmethod
    def of(cls, features: Float32[Tensor, "m d"]) -> "Reference":
        """With the moments computed."""
        return cls(features, moments(features))

    def __len__(self) -> int:
        """m, the number of real images."""
        return len(self.features)


@dataclass(frozen=True)
class Scores:
    """Finite values by metric name, with what their reader must know.

    Attributes:
        values: by the names of `score_names`, and ours for other measures.
        notes: one line each, such as a KID subset size that had to be reduced.
        intervals: the ends of the 95 % interval of those values that have one.
    """

    values: Mapping[str, float]
    notes: tuple[str, ...] = ()
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreNames:
    """What the three scores that have names of their own on Inception's features are called.

    Attributes:
        classes: exp(E KL(p(y|x) || p(y))) over the extractor's classes; `_mean` and `_std` follow.
        frechet: the Frechet distance.
        kernel: the kernel distance; `_mean` and `_std` follow.
    """

    classes: str
    frechet: str
    kernel: str


def score_names(extractor: str) -> ScoreNames:
    """torch-fidelity's names for Inception, and others for every other extractor."""
    if extractor == INCEPTION:
        return ScoreNames("inception_score", "frechet_inception_distance", "kernel_inception_distance")
    return ScoreNames(f"class_score:{extractor}", "frechet_distance", "kernel_distance")


def score_features(
    fake: Features, real: Reference, settings: ScoreSettings = ScoreSettings(), *, extractor: str = INCEPTION
) -> Scores:
    """Scores of fake features against real ones; memory beyond them stays below half a gigabyte at 50,000 x 2048.

    Args:
        fake: a class score needs logits; without them, (n, 0), there is none.
        real: features of the same extractor.
        settings: what is computed, and how.
        extractor: its name, which decides what the scores are called.

    Raises:
        UserError: for too few images, features of two widths, or a score that is not finite.
    """
    settings.check(len(fake), len(real))
    if fake.features.shape[1] != real.features.shape[1]:
        got = f"{fake.features.shape[1]} and {real.features.shape[1]}"
        raise UserError(f"features of {got} dimensions cannot be compared: use one extractor for both sides")
    fake_moments = moments(fake.features)
    size = min(settings.kid_subset_size, len(fake), len(real))
    names = score_names(extractor)
    values: dict[str, float] = {}
    if fake.logits.shape[1]:
        values = _pair(names.classes, inception_score(fake.logits, settings.splits, settings.seed))
    estimates = _frechet(fake, fake_moments, real, settings, names.frechet)
    values[names.frechet] = estimates[names.frechet].value
    kernel = kernel_distance(fake.features, real.features, subsets=settings.kid_subsets, size=size, seed=settings.seed)
    values |= _pair(names.kernel, kernel)
    estimates |= _others(fake, real, settings)
    values |= {name: estimate.value for name, estimate in estimates.items()}
    for name, value in values.items():
        if not np.isfinite(value):
            raise UserError(f"{name} is {value}: the features are too extreme to be scored")
    intervals = {name: e.interval() for name, e in estimates.items() if e.deviation is not None}
    return Scores(values, tuple(_notes(fake_moments, real.moments, size, settings, extractor)), intervals)


def _pair(name: str, found: Mapping[str, float]) -> dict[str, float]:
    """Mean and deviation as torch-fidelity returns them, under a name of ours."""
    return dict(zip((f"{name}_mean", f"{name}_std"), found.values(), strict=True))


def _frechet(
    fake: Features, found: Moments, real: Reference, settings: ScoreSettings, name: str
) -> dict[str, Estimate]:
    """The plain distance under its name and, where wanted, the extrapolated one."""
    distance = frechet_distance(found, real.moments)
    infinite = frechet_extrapolated(fake.features, real.moments, settings.seed) if settings.infinite else None
    if not settings.intervals or found.rank_deficient or real.moments.rank_deficient:
        plain = {name: Estimate(distance)}
        return plain | ({FD_INFINITE: Estimate(infinite.value)} if infinite else {})
    psi = frechet_influences(fake.features, found, real.features, real.moments)
    plain = {name: Estimate(distance, sampling_deviation(*psi))}
    if infinite is None:
        return plain
    return plain | {FD_INFINITE: Estimate(infinite.value, sampling_deviation(*psi, infinite.weights))}


def _others(fake: Features, real: Reference, settings: ScoreSettings) -> dict[str, Estimate]:
    """Precision and recall, density and coverage, and the discrepancy, as wanted."""
    x, y = fake.features, real.features
    groups = random_groups(len(x), len(y), settings.seed) if settings.intervals else None
    found: dict[str, Estimate] = {}
    if settings.prc or settings.density:
        found |= manifold_scores(x, y, precision=settings.prc, density=settings.density, groups=groups)
    if settings.mmd:
        found[MMD] = gaussian_mmd(x, y, groups)
    return found


def inception_score(logits: Float32[Tensor, "n k"], splits: int, seed: int) -> dict[str, float]:
    """exp(E KL(p(y|x) || p(y))), mean and deviation over splits (Salimans et al. 2016).

    The rows are shuffled and split as torch-fidelity does, but held in float64 one split at a time.
    """
    from torch_fidelity.metric_isc import (  # here: it takes three seconds
        KEY_METRIC_ISC_MEAN,
        KEY_METRIC_ISC_STD,
        isc_features_to_metric,
    )

    n = len(logits)
    order = np.random.RandomState(seed).permutation(n)
    scores = [
        isc_features_to_metric(logits[order[i * n // splits : (i + 1) * n // splits]], splits=1, shuffle=False)
        for i in range(splits)
    ]
    means = [score[KEY_METRIC_ISC_MEAN] for score in scores]
    return {KEY_METRIC_ISC_MEAN: float(np.mean(means)), KEY_METRIC_ISC_STD: float(np.std(means))}


def _notes(fake: Moments, real: Moments, kid_subset_size: int, settings: ScoreSettings, extractor: str) -> list[str]:
    name, kernel = ("FID", "KID") if extractor == INCEPTION else ("FD", "KD")
    notes = []
    for what, m in (("samples", fake), ("real images", real)):
        if m.rank_deficient:
            notes.append(f"{name} is rank-deficient and biased: {m.count} {what} for {len(m.mean)} feature dimensions")
    if notes and settings.intervals:
        notes.append(f"{name} has no interval: there must be more images than feature dimensions on both sides")
    smallest = min(SMALLEST, fake.count // 2)
    if settings.infinite and smallest <= len(fake.mean):
        notes.append(f"FD at infinity is unsure: its smallest subset, {smallest}, is no larger than {len(fake.mean)}")
    if kid_subset_size < settings.kid_subset_size:
        wanted = settings.kid_subset_size
        notes.append(f"{kernel} subsets hold {kid_subset_size} images, not {wanted}: there are no more")
    return notes
