"""Diagnoses of a discriminator: their main numbers, and what their parts are called."""

from collections.abc import Mapping
from typing import Any

from mmgan.report.entries import MISSING

Diagnosis = Mapping[str, Any]
"""An entry of diagnosis.json."""

KINDS = {"train": "training images", "fake": "fakes", "held_out": "held-out images"}


def main_numbers(entry: Diagnosis) -> dict[str, float | None]:
    """r, and of each layer the deviation from the line and the calibration error, by name; None: not finite."""
    numbers = {"overfitting": entry["overfitting"]} if "held_out" in entry["logits"] else {}
    for key in ("relative_deviation", "calibration_error"):
        numbers |= {f"{key}:{layer}": values[key] for layer, values in entry["layers"].items()}
    at = entry["gradient_norm"]["lam"]
    places = {"fake": at[0], "between": at[len(at) // 2], "train": at[-1]}
    return numbers | {f"gradient_norm:{where}": norm for where, norm in places.items()}


def diagnosis_line(entry: Diagnosis) -> str:
    """A diagnosis in one line."""
    r = f"r {r_text(entry)}" if "held_out" in entry["logits"] else "no r (no --holdout)"
    means = ", ".join(f"{name} {_text(entry['logits'][key]['mean'])}" for key, name in kinds_of(entry).items())
    bends = ", ".join(f"{layer} {_text(values['relative_deviation'])}" for layer, values in entry["layers"].items())
    return f"D: {r}; mean logit of {means}; deviation from the line at layer {bends}"


def kinds_of(entry: Diagnosis) -> dict[str, str]:
    """The kinds of images in an entry, by key, in words."""
    return {key: name for key, name in KINDS.items() if key in entry["logits"]}


def layer_name(layer: str) -> str:
    """A layer in words."""
    return layer if layer == "pixel" else f"layer {layer}"


def r_text(entry: Diagnosis) -> str:
    """The overfitting measure with its digits."""
    return _text(entry["overfitting"])


def _text(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"
