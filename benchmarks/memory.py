"""Memory of scoring 50,000 samples against 50,000 real images with 2,048 features each, in its own process."""

import json
import re
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.rows import Row
from mmgan.data import make_images
from mmgan.draws import global_stream, numpy_stream
from mmgan.generators import build_generator
from mmgan.scoring import NetworkExtractor, extract, image_source, real_features, score_features

COUNT = 50_000
DIMS = 2048


def measure(device: str, quick: bool) -> list[Row]:
    """Return the row of this part."""
    count, dims = (500, 64) if quick else (COUNT, DIMS)
    command = [sys.executable, "-m", "benchmarks.memory", str(count), str(dims), device]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return [
        Row(
            f"memory above the networks, scoring {count:,} samples of 32x32 against as many images, {dims:,} features",
            (found["peak"] - found["networks"]) / 1e9,
            "GB",
            at_most=1.5,
            detail=found,
        )
    ]


class Projection(nn.Module):
    """A cheap network with features and 10 logits."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(3 * 8 * 8, dims), nn.ReLU())
        self.logits = nn.Linear(dims, 10)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.logits(self.features(x))
        return h


def peak() -> int:
    """Return the peak memory of this process in bytes, by Linux's count. That of getrusage starts at the parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


def score(count: int, dims: int, device: str) -> dict[str, int | str]:
    """Score a small generator as a training run does, with the real images in memory and without a cache."""
    with global_stream(0, "init"):
        generator = build_generator("resnet", 32, 3, 4, 32).to(device)
        extractor = NetworkExtractor(Projection(dims), "projection", "features", 32, 3, device)
    source = image_source(generator, 32, 0, device)
    extractor(source(0, 64))
    networks = peak()
    pixels = numpy_stream(0, "benchmark").integers(0, 256, (count, 3, 32, 32), "uint8")
    real = make_images("reals", "train", torch.from_numpy(pixels))
    reference = real_features(real, extractor, None)
    fakes = extract(source, count, extractor)
    if reference is None or fakes is None:
        raise AssertionError("one process alone always leads")
    score_features(fakes, reference)
    return {"samples": count, "peak": peak(), "networks": networks, "of": "resident set of the whole process, bytes"}


if __name__ == "__main__":
    torch.set_num_threads(2)
    print(json.dumps(score(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))
