"""An entry of scores.json: each value with everything it depends on."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from mmgan.scoring.by_class import ClassScores, means_of
from mmgan.scoring.extractors import Extractor
from mmgan.scoring.scores import FD_INFINITE, MMD, Scores, ScoreSettings, score_names


def score_entry(
    scores: Scores | None,
    settings: ScoreSettings,
    extractor: Extractor,
    *,
    samples: int,
    real: str,
    split: str,
    reals: int,
    device: torch.device | str,
    seed: int | None = None,
    step: int | None = None,
    averaged: bool | None = None,
    reason: str | None = None,
    protocol: str = "custom",
    classes: Mapping[str, ClassScores] | None = None,
) -> dict[str, Any]:
    """A JSON object with no NaN in it.

    Args:
        scores: None where none could be computed; every metric is then null, and `reason` must say why.
        settings: with which they were computed.
        extractor: that computed the features.
        samples: number of fakes.
        real: name of the real data set, or a folder.
        split: of the real data set, which decides the scores as much as its name.
        reals: number of real images.
        device: on which features were extracted.
        seed: of the latents; None for folders, where none were drawn.
        step: of the generator; None for folders.
        averaged: whether the generator's averaged weights were used; None for folders.
        reason: why there are no scores.
        protocol: by whose name these images were chosen.
        classes: the scores of each class, where they were asked for.
    """
    if (scores is None) != (reason is not None):
        raise ValueError("give scores, or the reason why there are none")
    entry = {
        "scores": dict.fromkeys(metric_names(settings, extractor)) if scores is None else _finite(scores),
        "intervals": {} if scores is None else {name: list(ends) for name, ends in scores.intervals.items()},
        "reason": reason,
        "notes": [] if scores is None else list(scores.notes),
        "extractor": {key: getattr(extractor, key) for key in ("name", "digest", "dims", "layer", "preprocessing")},
        "samples": samples,
        "real": {"name": real, "split": split, "images": reals},
        "settings": asdict(settings),
        "protocol": {
            "name": protocol,
            "real_split": split,
            "real_images": reals,
            "samples": samples,
            "splits": settings.splits,
            "resize": extractor.preprocessing,
        },
        "seed": seed,
        "step": step,
        "averaged_weights": averaged,
        "device": device_name(torch.device(device)),
        "versions": {name: _version(name) for name in ("mmgan", "torch", "torch-fidelity")},
    }
    return entry if classes is None else entry | {"by_class": _by_class(classes), "mean_by_class": means_of(classes)}


def _by_class(classes: Mapping[str, ClassScores]) -> dict[str, Any]:
    return {
        name: {
            "samples": of.samples,
            "real_images": of.reals,
            "scores": _finite(of.scores),
            "intervals": {score: list(ends) for score, ends in of.scores.intervals.items()},
        }
        for name, of in classes.items()
    }


def metric_names(settings: ScoreSettings, extractor: Extractor) -> list[str]:
    """The metrics that `score_features` reports, in its order."""
    names = score_names(extractor.name)
    return [
        *([f"{names.classes}_mean", f"{names.classes}_std"] if extractor.num_classes else []),
        names.frechet,
        *(f"{names.kernel}_mean", f"{names.kernel}_std"),
        *([FD_INFINITE] if settings.infinite else []),
        *(["precision", "recall"] if settings.prc else []),
        *(["density", "coverage"] if settings.density else []),
        *([MMD] if settings.mmd else []),
    ]


def _finite(scores: Scores) -> dict[str, float]:
    for name, value in scores.values.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} is {value}: only finite scores are written; give a reason instead")
    return dict(scores.values)


def device_name(device: torch.device) -> str:
    """The kind of a device, with the model of a GPU."""
    return f"{device.type} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # a checkout on the path that was never installed
        return None
