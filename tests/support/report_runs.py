"""Run folders as the trainers leave them, made up without training."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmgan.runs.folder import RunFolder

GAN_CONFIG: dict[str, Any] = {
    "mix": "1,2,pixel",
    "alpha": 0.5,
    "lam": "uniform",
    "per": "example",
    "data": "digits",
    "data_root": "data",
    "arch": "resnet",
    "latent_dim": 32,
    "steps": 400,
    "batch_size": 32,
    "n_dis": 2,
    "lr": 4.0e-4,
    "score_samples": 2000,
    "real_split": "train",
    "extractor": "classifier",
    "out": None,
    "seed": 0,
}

CLASSIFIER_CONFIG: dict[str, Any] = {
    "mix": "1,2,pixel",
    "alpha": 2.0,
    "data": "digits",
    "arch": "preactresnet18",
    "epochs": 4,
    "batch_size": 100,
    "lr": 0.1,
    "seed": 0,
    "out": None,
}


def manifest(fid: float | None, *, step: int = 400, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """An entry of scores.json as mmgan.scoring.entry makes it."""
    known = fid is not None
    entry: dict[str, Any] = {
        "scores": {
            "inception_score_mean": 100 / (fid + 10) if known else None,
            "inception_score_std": 0.125 if known else None,
            "frechet_inception_distance": fid,
            "kernel_inception_distance_mean": fid / 1000 if known else None,
            "kernel_inception_distance_std": 0.0005 if known else None,
        },
        "reason": None if known else "the generator yields values that are not finite",
        "notes": [],
        "extractor": {"name": "classifier:digits", "digest": "0123456789abcdef" * 4, "dims": 64},
        "samples": 2000,
        "real": {"name": "digits", "split": "train", "images": 1797},
        "settings": {"splits": 10, "kid_subsets": 100, "kid_subset_size": 1000, "prc": False, "seed": 2020},
        "seed": seed,
        "step": step,
        "averaged_weights": True,
        "device": "cpu",
        "versions": {"mmgan": "0.1.0", "torch": "2.14.1", "torch-fidelity": "0.4.0"},
    }
    return entry | changes


def classifier_entry(error: float, *, epoch: int = 4, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """An entry of scores.json as a classifier run makes it."""
    entry: dict[str, Any] = {
        "step": 10 * epoch,
        "epoch": epoch,
        "validation": {"error_percent": error + 0.5, "nll": error / 20, "examples": 100},
        "test": {"error_percent": error, "nll": error / 25, "examples": 360},
        "data": {"name": "digits", "split": "test", "classes": 10, "digest": "fedcba9876543210" * 4},
        "seed": seed,
        "averaged_weights": False,
        "device": "cpu",
        "versions": {"mmgan": "0.1.0", "torch": "2.14.1"},
    }
    return entry | changes


def gan_rows(steps: int, layers: list[str], n_dis: int = 2) -> list[dict[str, Any]]:
    """Rows of metrics.jsonl as the GAN trainer writes them."""
    rng = np.random.default_rng(0)
    rows = []
    for step in range(1, steps + 1):
        real, fake, mixed = (rng.normal(0.69 - 0.2 * math.exp(-step / 60), 0.08) for _ in range(3))
        rows.append(
            {
                "step": step,
                "images": step * n_dis * 32,
                "layers": [str(rng.choice(layers or ["none"])) for _ in range(n_dis)],
                "loss_d": real + fake + (mixed if layers else 0.0),
                "loss_d_real": real,
                "loss_d_fake": fake,
                "loss_d_mixed": mixed if layers else 0.0,
                "loss_g": rng.normal(0.8 + 0.4 * math.exp(-step / 80), 0.1),
            }
        )
    return rows


def write_grid(path: Path, images: np.ndarray, factor: int = 4) -> None:
    """64 images (64, h, w) in a square, enlarged, as the trainer writes them."""
    _, h, w = images.shape
    grid = np.full((8 * (h + 1) + 1, 8 * (w + 1) + 1), 128, np.uint8)
    for i, image in enumerate(images):
        y, x = 1 + (i // 8) * (h + 1), 1 + (i % 8) * (w + 1)
        grid[y : y + h, x : x + w] = image
    picture = Image.fromarray(grid).convert("RGB")
    picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST).save(path)


def gan_run(
    path: Path,
    *,
    history: list[dict[str, Any]] | None = None,
    done: int | None = None,
    grids: tuple[int, ...] = (),
    **config: Any,
) -> RunFolder:
    """A GAN run; `done` steps of config steps are trained, `history` is what was scored, oldest first."""
    folder = RunFolder(path)
    config = GAN_CONFIG | {"out": str(path)} | config
    folder.start(config, overwrite=False)
    layers = [name for name in config["mix"].split(",") if name != "none"]
    folder.append_metrics(gan_rows(config["steps"] if done is None else done, layers))
    for step in grids:
        noise = np.random.default_rng(step).integers(0, 256, (64, 16, 16), dtype=np.uint8)
        write_grid(folder.samples / f"step-{step:08d}.png", noise)
    if history:
        finite = [entry for entry in history if entry["scores"]["frechet_inception_distance"] is not None]
        best = min(finite, key=lambda entry: entry["scores"]["frechet_inception_distance"], default=None)
        folder.write_scores({"last": history[-1], "best": best, "history": history})
    return folder


def classifier_run(path: Path, *, last: dict[str, Any] | None = None, **config: Any) -> RunFolder:
    """A classifier run of four epochs of ten steps."""
    folder = RunFolder(path)
    folder.start(CLASSIFIER_CONFIG | {"out": str(path)} | config, overwrite=False)
    for step in range(1, 41):
        row: dict[str, Any] = {"step": step, "epoch": -(-step // 10), "images": 100 * step, "layers": ["1", "pixel"]}
        row |= {"lr": 0.1, "loss": 2.3 / step}
        if step % 10 == 0:
            row |= {"val_error_percent": 400 / step, "val_nll": 20 / step}
        folder.append_metrics([row])
    if last is not None:
        folder.write_scores({"last": last, "best": classifier_entry(last["test"]["error_percent"] - 1, epoch=3)})
    return folder


def diagnosis(step: int, r: float | None = 0.25, *, held_out: bool = True) -> dict[str, Any]:
    """An entry of diagnosis.json."""
    logits = {"mean": 1.0, "quantiles": [-1.0, 0.0, 1.0, 2.0, 3.0]}
    layer = {"logit": [-1.0, None, 1.0], "sigmoid": [0.3, 0.5, 0.7], "deviation": 0.2, "relative_deviation": 0.1}
    norm: dict[str, Any] = {"lam": [0.5, 0.6, 0.7]}
    kinds = ["train", "fake", *(["held_out"] if held_out else [])]
    return {
        "step": step,
        "images": dict.fromkeys(kinds, 100),
        "held_out": "digits (held-out)" if held_out else None,
        "pairs": 100,
        "overfitting": r if held_out else None,
        "logits": dict.fromkeys(kinds, logits),
        "lam": [0.0, 0.5, 1.0],
        "layers": {"pixel": {**layer, "calibration_error": 0.05}, "1": {**layer, "calibration_error": 0.07}},
        "gradient_norm": norm | ({"held_out": 0.65} if held_out else {}),
    }


def evaluation(folder: RunFolder, **changes: Any) -> dict[str, Any]:
    """Write an evaluation.json as `mmgan evaluate` does."""
    attack = {"epsilon": 8 / 255, "step_size": 8 / 255, "steps": 1, "examples": 360, "accuracy_percent": 37.5}
    spectrum = {"examples": 360, "width": 16, "centered": False, "class_values": [20.0, 4.0, 1.0, 1e-9]}
    spectrum |= {"overall_values": [70.0, 30.0, 2.0, 0.5]}
    spectrum |= {"class": {"largest": 20.0, "rest": 5.0}, "overall": {"largest": 70.0, "rest": 32.5}}
    values: dict[str, Any] = {
        "run": str(folder.path),
        "checkpoint": "step-00000040",
        "epoch": 4,
        "changed": [],
        "data": {"name": "digits", "split": "test", "digest": "0123456789abcdef" * 4},
        "device": "cpu",
        "examples": 360,
        "classes": 10,
        "seed": 0,
        "test_error_percent": 8.25,
        "top5_error_percent": 0.5,
        "nll": 0.33,
        "expected_calibration_error": 0.125,
        "reliability": {
            "edges": [0.0, 0.25, 0.5, 0.75, 1.0],
            "count": [0, 36, 144, 180],
            "confidence": [None, 0.4, 0.7, 0.9],
            "accuracy": [None, 0.25, 0.5, 0.95],
        },
        "knn": {"layer": "features", "k": 5, "bank": 1437, "error_percent": 19.75},
        "interpolation": "bilinear",
        "deformation_accuracy_percent": {"rotation-20": 46.5, "shear-28.6": 30.25},
        "adversarial": [{"attack": "fgsm"} | attack, {"attack": "unbounded-pgd"} | attack | {"epsilon": None}],
        "spectra": {"1": spectrum},
    }
    values |= changes
    folder.evaluation_file.write_text(json.dumps(values))
    return values
