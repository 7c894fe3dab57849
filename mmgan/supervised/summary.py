"""Results of a classifier run: in scores.json, and as the lines that it prints at its end."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from mmgan.config.classifier import ClassifierMixSettings
from mmgan.data import Images
from mmgan.runs.facts import versions
from mmgan.runs.folder import RunFolder
from mmgan.runs.words import closing
from mmgan.scoring.entry import device_name
from mmgan.supervised.held_out import HeldOutResult


def entry(
    facts: Mapping[str, Any], result: HeldOutResult, test: Images, seed: int, device: torch.device, *, averaged: bool
) -> dict[str, Any]:
    """The results of one checkpoint with everything that they depend on, as scores.json has them.

    Args:
        facts: of the checkpoint.
        result: on the test images.
        test: the test images.
        seed: the run's.
        device: the run's.
        averaged: whether the weights are an average.
    """
    chosen = {name: facts[name] for name in ("step", "epoch", "validation")}
    return chosen | {
        "test": asdict(result),
        "changed": facts["changed"],
        "data": {"name": test.name, "split": test.split, "classes": len(test.classes), "digest": test.digest},
        "seed": seed,
        "averaged_weights": averaged,
        "device": device_name(device),
        "versions": versions(),
    }


def summary(folder: RunFolder, mix: ClassifierMixSettings, epochs: int, seed: int) -> str:
    """The test results, mixing, length and seed, and the paths of the files."""
    lines = []
    for name, scored in folder.read_scores().items():
        test, validation = scored["test"], scored["validation"]
        lines.append(
            f"{name}   test error {test['error_percent']:.2f} %, NLL {test['nll']:.4f} on {test['examples']:,} images"
            f"  (epoch {scored['epoch']}, validation error {validation['error_percent']:.2f} %)"
        )
    lines.append("best was chosen on the validation images; the test images are read after training and choose nothing")
    paths = {
        "scores": folder.scores_file,
        "metrics": folder.metrics_file,
        "checkpoints": folder.checkpoints,
        "report": folder.report_file,
    }
    lines += closing(mix, f"{epochs} epochs", seed, paths)
    return "\n".join([*lines, f"every measure of the paper: mmgan evaluate {folder.path}"])
