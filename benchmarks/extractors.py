"""Features by each extractor whose weights, or a file of their form, exist without a download.

The cost of a network's arithmetic does not depend on its weights, so they are random ones, except for those of a file
in $MMGAN_TIMM_WEIGHTS. CLIP is a TorchScript archive that only its authors publish, so it is not measured.
"""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.arithmetic import multiply_adds
from benchmarks.inception_weights import write_random_weights
from benchmarks.rows import Row, row_of
from benchmarks.timing import alternate
from benchmarks.whole_scores import noise_images
from mmgan.classifiers import build_classifier
from mmgan.draws import global_stream
from mmgan.scoring import Extractor, InceptionExtractor, NetworkExtractor
from mmgan.scoring.fidelity_networks import vgg16_extractor
from mmgan.scoring.timm_networks import timm_extractor

TIMM = "tf_efficientnet_lite0"
WEIGHTS = "MMGAN_TIMM_WEIGHTS"
"""The variable that names a file of that model's weights."""


def measure(device: str, quick: bool) -> list[Row]:
    """Return a row for each extractor: milliseconds an image at 32x32, next to the network's multiply-adds."""
    images = noise_images("fakes", 2 if quick else 16, 0).pixels
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for what, make in extractors(Path(folder), device, quick).items():
            extractor = make()
            arithmetic = multiply_adds(partial(extractor, images)) / len(images)
            timings = alternate({"features": partial(extractor, images)}, 1 if quick else 7, device)
            seconds = timings.seconds("features")
            rows.append(
                row_of(
                    f"features of {len(images)} images of 32x32 by {what}, an image",
                    seconds,
                    "ms",
                    scale=1e3 / len(images),
                    arithmetic=f"{arithmetic / 1e9:.3g} G",
                    detail={"multiply-adds": arithmetic, "cpu_seconds": float(timings.cpu["features"].mean())},
                )
            )
            del extractor
    return rows


def extractors(folder: Path, device: str, quick: bool) -> dict[str, Callable[[], Extractor]]:
    """How each is made, by its name. A quick run leaves VGG16 out, whose file takes half a gigabyte."""
    made: dict[str, Callable[[], Extractor]] = {
        "a classifier (the form of the judge of fashion-mnist)": partial(judge, device),
        "Inception": lambda: InceptionExtractor(write_random_weights(folder / "inception.pth"), device),
    }
    if not quick:
        made["VGG16"] = lambda: vgg16_extractor(_random_vgg16(folder / "vgg16.pth"), device)
    if WEIGHTS in os.environ:
        made[f"timm's {TIMM}"] = partial(timm_extractor, TIMM, os.environ[WEIGHTS], device)
    return made


def judge(device: str) -> NetworkExtractor:
    """A network of the judges' form, for RGB images of 32x32, untrained."""
    with global_stream(0, "init"):
        network = build_classifier("wideresnet", 10, 3, 32, depth=10, widen_factor=1, stem_stride=2)
    network.to(memory_format=torch.channels_last)
    return NetworkExtractor(network, "classifier", "pool", 32, 3, device)


def _random_vgg16(path: Path) -> Path:
    from torchvision.models import vgg16

    with global_stream(0, "vgg16"):
        state: dict[str, Tensor] = vgg16(weights=None, init_weights=False).state_dict()
    torch.save(state, path)
    return path
