"""Every measure with its interval, on ready-made features of an ImageNet network's width."""

import time

from benchmarks.rows import Row
from benchmarks.scoring import random_features
from mmgan.scoring import Reference, ScoreSettings, score_features

COUNT, DIMS = 10_000, 1280


def measure(device: str, quick: bool) -> list[Row]:
    """Return the row of this part."""
    count, dims = (200, 16) if quick else (COUNT, DIMS)
    fake, real = random_features(count, dims, 0), random_features(count, dims, 1)
    settings = ScoreSettings(
        kid_subset_size=min(1000, count), prc=True, density=True, infinite=True, mmd=True, intervals=True
    )
    start, cpu = time.perf_counter(), time.process_time()
    scores = score_features(fake, Reference.of(real.features), settings, extractor="random")
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return [
        Row(
            "all measures with all intervals, 10,000 x 1,280 features a side",
            seconds,
            "s",
            at_most=90,
            detail={"rows": count, "dims": dims, "cpu_seconds": cpu, "scores": dict(scores.values)},
        )
    ]
