"""Growth of a score's time with the number of samples, for features and scores separately, on a log-log plot.

The extractor is a small one with 2,048 features, so that any growth faster than linear would show.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.memory import Projection
from benchmarks.rows import Row
from benchmarks.scaling import readable_seconds
from benchmarks.scoring import random_features
from benchmarks.timing import alternate
from mmgan.draws import global_stream
from mmgan.generators import build_generator
from mmgan.scoring import Features, NetworkExtractor, Reference, extract, image_source, score_features

COUNTS = (2500, 5000, 10_000, 20_000)
REALS = 10_000


def measure(device: str, quick: bool) -> list[Row]:
    """Return one row per curve with its slope. The detail has the seconds."""
    counts, reals, dims = ((150, 300), 200, 64) if quick else (COUNTS, REALS, 2048)
    with global_stream(0, "init"):
        generator = build_generator("resnet", 32, 3, 16, 32).to(device)
        extractor = NetworkExtractor(Projection(dims), "projection", "features", 32, 3, device)
    source = image_source(generator, 32, 0, device)
    rows = random_features(max(counts), dims, 0)
    real = Reference.of(random_features(reals, dims, 1).features)
    parts: dict[str, dict[str, Callable[[], object]]] = {
        "generating and extracting": {f"{n}": partial(extract, source, n, extractor) for n in counts},
        f"IS, FID and KID against {reals:,} kept real images": {
            f"{n}": partial(score_features, _first(rows, n), real) for n in counts
        },
    }
    found = []
    for what, calls in parts.items():
        timings = alternate(calls, 1, device, warmup=0)
        seconds = [timings.seconds(str(n)).value for n in counts]
        found.append(
            Row(
                f"slope of score time against samples, log-log: {what}",
                slope(counts, seconds),
                "",
                detail={"samples": list(counts), "seconds": seconds, "part": what},
            )
        )
    return found


def slope(x: tuple[int, ...], y: list[float]) -> float:
    """Fit the slope of log y against log x by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def _first(rows: Features, n: int) -> Features:
    return Features(rows.features[:n], rows.logits[:n])


def plot(rows: list[Row], path: Path) -> None:
    """Plot seconds against samples, one line per row of `measure`, with the slope in the legend."""
    figure = Figure(figsize=(6, 4), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for row in rows:
        label = f"{row.detail['part']}: slope {row.value:.2f}"
        axes.loglog(row.detail["samples"], row.detail["seconds"], marker="o", label=label)
    axes.set_xlabel("generated samples")
    axes.set_ylabel("seconds")
    axes.set_xticks(rows[0].detail["samples"], [f"{n:,}" for n in rows[0].detail["samples"]], minor=False)
    readable_seconds(axes)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    torch.set_num_threads(2)
    found = measure("cpu", quick=False)
    print(*found, sep="\n")
    plot(found, Path("score-scaling.png"))
