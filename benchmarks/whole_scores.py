"""Whole scores, from images to IS, FID and KID with the FID Inception: a plain call of torch-fidelity, and ours.

python -m benchmarks.whole_scores [--images 2048]     runs each of the two once
"""

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torch_fidelity
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks.inception_weights import write_random_weights
from mmgan.data import Images, make_images
from mmgan.draws import numpy_stream
from mmgan.scoring import Extractor, InceptionExtractor, ScoreSettings, extract, real_features, score_features


def noise_images(name: str, count: int, seed: int) -> Images:
    """Make smooth random 32x32 RGB images. Each seed has its own scale."""
    rng = numpy_stream(seed, "benchmark-images")
    cells = 4 + 4 * seed
    coarse = torch.from_numpy(rng.random((count, 3, cells, cells), np.float32) * 255)
    pixels = F.interpolate(coarse, 32, mode="bilinear").round().to(torch.uint8)  # (n, 3, 32, 32)
    return make_images(name, "train", pixels, torch.arange(count) % 10, tuple("0123456789"))


def plain_scores(weights: Path, fake: Images, real: Images, device: str, settings: ScoreSettings) -> dict[str, float]:
    """Call torch-fidelity as its README does."""
    warnings.filterwarnings("ignore", message="This DataLoader will create", category=UserWarning)
    found: dict[str, float] = torch_fidelity.calculate_metrics(
        input1=_Rows(fake.pixels),
        input2=_Rows(real.pixels),
        cuda=device == "cuda",
        isc=True,
        fid=True,
        kid=True,
        isc_splits=settings.splits,
        kid_subsets=settings.kid_subsets,
        kid_subset_size=settings.kid_subset_size,
        feature_extractor_weights_path=str(weights),
        verbose=False,
    )
    return found


def our_scores(
    extractor: Extractor, fake: Images, real: Images, cache: Path, settings: ScoreSettings
) -> dict[str, float]:
    """Score as a training run does: read or cache the real features, then extract those of the fakes."""
    reference = real_features(real, extractor, cache)
    fakes = extract(lambda first, count: fake.pixels[first : first + count], len(fake), extractor)
    if reference is None or fakes is None:
        raise AssertionError("one process alone always leads")
    return dict(score_features(fakes, reference, settings).values)


class _Rows(Dataset[Tensor]):
    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Tensor:
        return self.pixels[index]


def whole_calls(weights: Path, folder: Path, device: str, count: int, *, again: bool = True) -> dict[str, Any]:
    """Run torch-fidelity and ours from images to scores, and if `again`, ours with cached real features too."""
    fake, real = noise_images("fakes", count, 0), noise_images("reals", count, 1)
    settings = ScoreSettings(kid_subset_size=min(1000, count // 2))
    extractor = InceptionExtractor(weights, device)
    calls: dict[str, Callable[[], dict[str, float]]] = {
        "plain": lambda: plain_scores(weights, fake, real, device, settings),
        "ours": lambda: our_scores(extractor, fake, real, folder / "whole", settings),
    }
    if again:
        calls["kept"] = calls["ours"]  # the second time, the real features are in the cache
    scores, seconds = {}, {}
    for name, call in calls.items():
        start = time.perf_counter()
        scores[name] = call()
        seconds[name] = time.perf_counter() - start
    if again and scores["ours"] != scores["kept"]:
        raise AssertionError("the cached features give other scores")
    difference = max(abs(scores["ours"][name] / value - 1) for name, value in scores["plain"].items())
    return {
        "images": count,
        "kid_subset_size": settings.kid_subset_size,
        "seconds": seconds,
        "scores": scores,
        "difference": difference,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2048, help="number of images on each side")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights = write_random_weights(Path(folder) / "weights.pth")
        print(json.dumps(whole_calls(weights, Path(folder), arguments.device, arguments.images), indent=2))


if __name__ == "__main__":
    main()
