"""Scores something small; run by tests/scoring/test_sharding.py in one process and in several.

`main` prints one line of JSON from rank 0: what `score` found, and whether all ranks refused a broken generator.
"""

import hashlib
import json
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn

from mmgan.data import make_images
from mmgan.draws import global_stream
from mmgan.scoring import (
    NonFiniteSamples,
    Processes,
    ScoreSettings,
    extract,
    image_source,
    real_features,
    score_features,
)
from tests.support.scoring_images import smooth_images, tiny_extractor

COUNT = 300


def tiny_generator() -> nn.Module:
    with global_stream(0, "generator"):
        return nn.Sequential(nn.Linear(4, 3 * 8 * 8), nn.Tanh(), nn.Unflatten(1, (3, 8, 8)))


def score(processes: Processes) -> dict[str, Any]:
    extractor = tiny_extractor()
    fake = extract(image_source(tiny_generator(), 4, seed=0), COUNT, extractor, processes)
    real = real_features(make_images("smooth", "test", smooth_images(COUNT, 1)), extractor, None, processes)
    if fake is None or real is None:
        return {}
    return {
        "features": hashlib.sha256(fake.features.numpy().data).hexdigest(),
        "logits": hashlib.sha256(fake.logits.numpy().data).hexdigest(),
        "real": hashlib.sha256(real.features.numpy().data).hexdigest(),
        "scores": score_features(fake, real, ScoreSettings(kid_subset_size=100, kid_subsets=5)).values,
    }


def refuses(processes: Processes) -> bool:
    generator = tiny_generator()
    with torch.no_grad():
        generator[0].weight.fill_(float("nan"))
    try:
        extract(image_source(generator, 4, seed=0), COUNT, tiny_extractor(), processes)
    except NonFiniteSamples:
        return True
    return False


def main(argv: list[str]) -> None:
    torch.set_num_threads(1)
    accelerator = Accelerator()
    processes = Processes.of(accelerator)
    found = {
        "processes": accelerator.num_processes,
        "found": score(processes),
        "all_refuse": all(gather_object([refuses(processes)])),
    }
    if accelerator.is_main_process:
        print(json.dumps(found), flush=True)
    accelerator.wait_for_everyone()  # so that no process takes its connections down under another
    accelerator.end_training()
