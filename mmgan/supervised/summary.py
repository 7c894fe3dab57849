"""What a classifier run says of itself: at its start, in scores.json, and at its end."""

from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch
from accelerate import Accelerator

from mmgan.config.classifier import ClassifierConfig
from mmgan.data import Images
from mmgan.process.accelerator import where
from mmgan.runs.folder import RunFolder
from mmgan.supervised.held_out import Result

PAPER = "configs/classifier/cifar10-preactresnet18.yaml"


def entry(facts: Any, test: Result) -> dict[str, Any]:
    """One checkpoint's results."""
    chosen = {name: facts[name] for name in ("step", "epoch", "validation")}
    return chosen | {"test": asdict(test), "changed": facts["changed"]}


def manifest(config: ClassifierConfig, test: Images, accelerator: Accelerator) -> dict[str, Any]:
    """All that the results depend on beside the checkpoint."""
    device = accelerator.device
    name = f"{device.type} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type
    return {
        "data": {"name": test.name, "split": test.split, "classes": len(test.classes), "digest": test.digest},
        "seed": config.run.seed,
        "averaged_weights": config.training.ema > 0,
        "device": name,
        "versions": {package: version(package) for package in ("mmgan", "torch")},
    }


def opening(
    config: ClassifierConfig,
    source: str | None,
    images: Images,
    validation: Images,
    folder: RunFolder,
    accelerator: Accelerator,
) -> list[str]:
    """What is about to be done, in words."""
    lines = []
    if source is None and not config.run.resume:
        lines.append(
            "no --config: the embedded default, configs/classifier/digits.yaml;"
            f" the paper's setting is --config {PAPER}"
        )
    n, c, h, w = images.pixels.shape
    lines.append(
        f"{images.name}: {n:,} training and {len(validation):,} validation images of {w}x{h},"
        f" {'grey' if c == 1 else 'RGB'}, {len(images.classes)} classes"
    )
    if images.skipped:
        lines.append(f"{images.skipped} files that cannot be read as images were skipped")
    mix = config.mix
    mixing = f"{mix.mix}, lam ~ {mix.lam}, alpha {mix.alpha:g}" if mix.mix != "none" else "none"
    lines.append(f"mixing at {mixing}; on {where(accelerator)}; writing to {folder.path}")
    return lines


def summary(scores: dict[str, Any], config: ClassifierConfig, folder: RunFolder) -> str:
    """What a run ends by saying."""
    lines = []
    for name, scored in scores.items():
        test, validation = scored["test"], scored["validation"]
        lines.append(
            f"{name}   test error {test['error_percent']:.2f} %, NLL {test['nll']:.4f} on {test['examples']:,} images"
            f"  (epoch {scored['epoch']}, validation error {validation['error_percent']:.2f} %)"
        )
    lines.append("best was chosen on the validation images; the test images are read after training and choose nothing")
    mix = config.mix
    mixing = f"layers {mix.mix}, alpha {mix.alpha:g}" if mix.mix != "none" else "none (the baseline)"
    lines.append(f"mixing: {mixing}; {config.training.epochs} epochs; seed {config.run.seed}")
    paths = {
        "scores": folder.scores_file,
        "metrics": folder.metrics_file,
        "checkpoints": folder.checkpoints,
        "report": folder.report_file,
    }
    lines += [f"{what:12} {path}" for what, path in paths.items()]
    lines.append(f"every measure of the paper: mmgan evaluate {folder.path}")
    return "\n".join(lines)
