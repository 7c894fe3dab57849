"""IS, FID and KID with the FID Inception: ours against a plain call of torch-fidelity.

A whole score of 2,048 images takes torch-fidelity minutes on two cores. Its two parts are timed instead, each in
alternation: the features of one batch of 64 images (32 batches per side), and the scores of 2,048 rows of features.
The total is the sum of 64 batches and the scores, with 32 batches where the real features are cached. The time of
torch-fidelity for reading the images is left out, in its favour. Whole calls on fewer of these images check that both
give the same scores; `python -m benchmarks.whole_scores` makes them on all 2,048.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from benchmarks.inception_weights import write_random_weights
from benchmarks.rows import Row, row_of
from benchmarks.timing import Estimate, Timings, alternate, median
from benchmarks.whole_scores import noise_images, whole_calls
from mmgan.scoring import (
    Features,
    InceptionExtractor,
    Reference,
    ScoreSettings,
    frechet_distance,
    moments,
    real_features,
    score_features,
)
from mmgan.scoring.sharding import CHUNK

COUNT = 2048
DIMS = 2048
CLASSES = 1008


def measure(device: str, quick: bool) -> list[Row]:
    """Return the rows of this part."""
    with tempfile.TemporaryDirectory() as folder:
        weights = write_random_weights(Path(folder) / "weights.pth")
        rows = [*_speed(weights, Path(folder), device, quick), _agreement(weights, Path(folder), device, quick)]
    return [*rows, _frechet(device, quick)]


def _speed(weights: Path, folder: Path, device: str, quick: bool) -> list[Row]:
    batches = _batches(weights, device, quick)
    scores = _scores(folder, device, quick)
    batches_a_side = COUNT // CHUNK

    def total(times: Callable[[Timings, str], Estimate], name: str, sides: int) -> float:
        batch = "plain" if name == "plain" else "ours"
        return sides * batches_a_side * times(batches, batch).value + times(scores, name).value

    rows = []
    for what, name, sides, least in (
        ("IS, FID and KID of 2,048 images with Inception: torch-fidelity's time over ours", "ours", 2, 1.5),
        ("the same, real features cached", "kept", 1, 2.8),
    ):
        wall, cpu = (
            {"plain": total(kind, "plain", 2), "ours": total(kind, name, sides)} for kind in (Timings.seconds, _cpu)
        )
        low, high = _interval(batches, sides)
        rows.append(
            Row(
                what,
                wall["plain"] / wall["ours"],
                "x",
                at_least=least,
                headline=name == "ours",
                detail={
                    "measured": "one batch's features and all rows' scores, each in alternation; totals computed",
                    "batch": _batch(quick),
                    "batches": sides * batches_a_side,
                    "rows": _rows(quick)[0],
                    "seconds": wall,
                    "cpu_seconds": cpu,
                    "cpu_ratio": cpu["plain"] / cpu["ours"],
                    "features_ratio_95": [low, high],
                    "scores_seconds": {key: scores.seconds(key).value for key in scores.wall},
                },
            )
        )
    return rows


def _cpu(timings: Timings, name: str) -> Estimate:
    return median(timings.cpu[name])


def _interval(batches: Timings, sides: int) -> tuple[float, float]:
    ratio = batches.ratio("plain", to="ours")
    return ratio.low * 2 / sides, ratio.high * 2 / sides


def _batches(weights: Path, device: str, quick: bool) -> Timings:
    pixels = noise_images("fakes", _batch(quick), 0).pixels.to(device)
    plain = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], str(weights)).to(device)
    ours = InceptionExtractor(weights, device)

    def run_plain() -> None:
        with torch.no_grad():
            [values.cpu() for values in plain(pixels)]

    return alternate({"plain": run_plain, "ours": lambda: ours(pixels)}, 1 if quick else 4, device)


def _batch(quick: bool) -> int:
    return 2 if quick else CHUNK


def _rows(quick: bool) -> tuple[int, int]:
    return (200, 64) if quick else (COUNT, DIMS)


def _scores(folder: Path, device: str, quick: bool) -> Timings:
    """Time the scores of ready-made features. `kept` includes reading and checking the cached ones."""
    count, dims = _rows(quick)
    fake, real = random_features(count, dims, 0), random_features(count, dims, 1)
    settings = ScoreSettings(kid_subset_size=100 if quick else 1000)
    images = noise_images("reals", count, 1)
    stored = _Stored(real)
    real_features(images, stored, folder / "scores")

    def plain() -> None:
        isc_features_to_metric(fake.logits, splits=settings.splits)
        fid_statistics_to_metric(*(fid_features_to_statistics(x.features) for x in (fake, real)), verbose=False)
        kid_features_to_metric(fake.features, real.features, kid_subset_size=settings.kid_subset_size, verbose=False)

    def kept() -> None:
        reference = real_features(images, stored, folder / "scores")
        if reference is not None:
            score_features(fake, reference, settings)

    calls = {"plain": plain, "ours": lambda: score_features(fake, Reference.of(real.features), settings), "kept": kept}
    return alternate(calls, 1 if quick else 2, device, warmup=0)


class _Stored:
    """An extractor with ready-made features."""

    name, digest, fingerprint = "stored", "0", "stored"

    def __init__(self, features: Features) -> None:
        self.kept = features
        self.dims, self.num_classes = features.features.shape[1], features.logits.shape[1]
        self.first = 0

    def __call__(self, images: Tensor) -> Features:
        rows = slice(self.first, self.first + len(images))
        self.first = rows.stop
        return Features(self.kept.features[rows], self.kept.logits[rows])


def random_features(count: int, dims: int, seed: int) -> Features:
    """Draw non-negative features with a wide spectrum. Their covariance has full rank if there are enough rows."""
    generator = torch.Generator().manual_seed(seed)
    basis = (
        torch.randn(dims, dims, generator=torch.Generator().manual_seed(7)) * torch.logspace(0, -2, dims) / dims**0.5
    )
    features = (torch.randn(count, dims, generator=generator) @ basis + 0.3 + seed / 50).relu()
    return Features(features, torch.randn(count, CLASSES, generator=generator))


def _agreement(weights: Path, folder: Path, device: str, quick: bool) -> Row:
    count = 24 if quick else 2048 if device == "cuda" else 64
    found = whole_calls(weights, folder, device, count, again=not quick)
    return Row(
        f"largest relative difference of the five scores from torch-fidelity's, {count} images a side",
        found["difference"],
        "relative",
        at_most=1e-4,
        detail=found,
    )


def _frechet(device: str, quick: bool) -> Row:
    """Time the statistics of generated images' features and their distance to cached statistics, at full rank."""
    count, dims = (100, 64) if quick else (2560, DIMS)
    fake, real = random_features(count, dims, 0).features, moments(random_features(count, dims, 1).features)
    calls = {"ours": lambda: frechet_distance(moments(fake), real)}
    timings = alternate(calls, 2 if quick else 5, device)
    return row_of(
        "FID statistics of 2,560 rows of 2,048 features, and their distance to cached ones",
        timings.seconds("ours"),
        "s",
        at_most=1.2,
        detail={"rows": count, "dims": dims, "cpu_seconds": _cpu(timings, "ours").value},
    )
