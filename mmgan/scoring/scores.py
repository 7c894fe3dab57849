"""IS, FID, KID, precision and recall from features, by torch-fidelity's formulas and with its seeds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from torch import Tensor

from mmgan.errors import UserError
from mmgan.scoring.extractors import Features
from mmgan.scoring.frechet import Moments, frechet_distance, moments
from mmgan.scoring.kernel import kernel_distance

NEIGHBOURS = 3
"""k of precision and recall (Kynkaanniemi et al. 2019), as in torch-fidelity."""


@dataclass(frozen=True)
class ScoreSettings:
    """How scores are computed. The defaults are those of torch-fidelity's command.

    Attributes:
        splits: of the samples for IS, whose mean and deviation over the splits are reported.
        kid_subsets: number of random subsets for KID.
        kid_subset_size: images a subset; fewer where there are fewer images, and the notes then say so.
        prc: also precision and recall, on the same features (torch-fidelity's command uses VGG16 for these two).
        seed: of IS's shuffle and KID's subsets.
    """

    splits: int = 10
    kid_subsets: int = 100
    kid_subset_size: int = 1000
    prc: bool = False
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
        least = NEIGHBOURS + 1 if self.prc else 2
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
        values: by torch-fidelity's names, `inception_score_mean` and so on.
        notes: one line each, such as a KID subset size that had to be reduced.
    """

    values: Mapping[str, float]
    notes: tuple[str, ...] = ()


def score_features(fake: Features, real: Reference, settings: ScoreSettings = ScoreSettings()) -> Scores:
    """Scores of fake features against real ones; memory beyond them stays below half a gigabyte at 50,000 x 2048.

    Raises:
        UserError: for too few images, features of two widths, or a score that is not finite.
    """
    settings.check(len(fake), len(real))
    if fake.features.shape[1] != real.features.shape[1]:
        got = f"{fake.features.shape[1]} and {real.features.shape[1]}"
        raise UserError(f"features of {got} dimensions cannot be compared: use one extractor for both sides")
    fake_moments = moments(fake.features)
    size = min(settings.kid_subset_size, len(fake), len(real))
    values: dict[str, float] = inception_score(fake.logits, settings.splits, settings.seed)
    values["frechet_inception_distance"] = frechet_distance(fake_moments, real.moments)
    values |= kernel_distance(fake.features, real.features, subsets=settings.kid_subsets, size=size, seed=settings.seed)
    if settings.prc:
        from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

        # In blocks of rows: all distances of 50,000 pairs of images at once would take 10 GB.
        prc = prc_features_to_metric(
            fake.features,
            real.features,
            prc_neighborhood=NEIGHBOURS,
            prc_batch_size=1000,
            save_cpu_ram=True,
            verbose=False,
        )
        values |= {key: prc[key] for key in (KEY_METRIC_PRECISION, KEY_METRIC_RECALL)}
    for name, value in values.items():
        if not np.isfinite(value):
            raise UserError(f"{name} is {value}: the features are too extreme to be scored")
    return Scores(values, tuple(_notes(fake_moments, real.moments, size, settings)))


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


def _notes(fake: Moments, real: Moments, kid_subset_size: int, settings: ScoreSettings) -> list[str]:
    notes = []
    for what, m in (("samples", fake), ("real images", real)):
        if m.rank_deficient:
            notes.append(f"FID is rank-deficient and biased: {m.count} {what} for {len(m.mean)} feature dimensions")
    if kid_subset_size < settings.kid_subset_size:
        notes.append(f"KID subsets hold {kid_subset_size} images, not {settings.kid_subset_size}: there are no more")
    return notes
