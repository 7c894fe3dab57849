"""Reading the entries of scores.json: what was measured, how sure it is, and with what it was judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MISSING = "–"


@dataclass(frozen=True)
class Metric:
    """One score of generated images.

    Attributes:
        name: as the field writes it.
        key: in the manifest.
        spread: key of its deviation within one scoring, or None.
        digits: after the point.
        better: where better values lie, as an arrow.
    """

    name: str
    key: str
    spread: str | None
    digits: int
    better: str

    def text(self, entry: Mapping[str, Any]) -> str:
        """The value, with its deviation where it has one."""
        value = entry["scores"].get(self.key)
        if value is None:
            return MISSING
        spread = f" ± {entry['scores'][self.spread]:.{self.digits}f}" if self.spread else ""
        return f"{value:.{self.digits}f}{spread}"


IS = Metric("IS", "inception_score_mean", "inception_score_std", 3, "↑")
FID = Metric("FID", "frechet_inception_distance", None, 3, "↓")
KID = Metric("KID", "kernel_inception_distance_mean", "kernel_inception_distance_std", 5, "↓")
PRECISION = Metric("precision", "precision", None, 3, "↑")
RECALL = Metric("recall", "recall", None, 3, "↑")

METRICS = (IS, FID, KID, PRECISION, RECALL)


def metrics_of(entry: Mapping[str, Any]) -> list[Metric]:
    """The metrics that an entry of a GAN run holds, whether or not they could be computed."""
    return [metric for metric in METRICS if metric.key in entry["scores"]]


def is_manifest(entry: Mapping[str, Any]) -> bool:
    """Whether this is an entry of scoring (a GAN's), rather than a classifier's results."""
    return isinstance(entry.get("scores"), Mapping) and "extractor" in entry


def extractor_text(entry: Mapping[str, Any]) -> str:
    """The extractor and the first digits of its weights' digest."""
    extractor = entry["extractor"]
    return f"{extractor['name']}, weights {str(extractor['digest'])[:12]}"


def real_text(entry: Mapping[str, Any]) -> str:
    """The real side of the comparison."""
    real = entry["real"]
    return f"{real['name']} ({real['split']}, {real['images']:,} images)"


def judge_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """All that two entries must have in common before their values may be compared or averaged."""
    if is_manifest(entry):
        extractor, real = entry["extractor"], entry["real"]
        return {
            "extractor": f"{extractor['name']}, weights {extractor['digest']}",
            "real split": f"{real['name']} ({real['split']})",
            "number of real images": real["images"],
            "number of samples": entry["samples"],
            "scoring settings": str(entry.get("settings")),
            "step": entry.get("step"),
        }
    own = ("seed", "digest", "device", "versions", "weights")
    return {
        key: value
        for key, value in flatten(entry).items()
        if not isinstance(value, float) and not any(part.startswith(own) for part in key.split("."))
    }


def judge_text(entry: Mapping[str, Any]) -> str:
    """The judge in one line."""
    if not is_manifest(entry):
        return ", ".join(f"{key} {plain_text(value)}" for key, value in judge_of(entry).items())
    step = f" at step {entry['step']:,}" if entry.get("step") is not None else ""
    splits = f", {entry['settings']['splits']} IS splits" if "splits" in entry.get("settings", {}) else ""
    return f"{extractor_text(entry)}: {entry['samples']:,} samples{step} against {real_text(entry)}{splits}"


def values_of(entry: Mapping[str, Any]) -> dict[str, float | None]:
    """What was measured, by short names; None for what could not be computed."""
    if is_manifest(entry):
        return {metric.name: entry["scores"][metric.key] for metric in metrics_of(entry)}
    return {key: value for key, value in flatten(entry).items() if isinstance(value, float)}


def number_text(name: str, value: float | None) -> str:
    """A value with the digits that its metric has."""
    digits = {metric.name: metric.digits for metric in METRICS}.get(name, 4)
    return MISSING if value is None else f"{value:.{digits}f}"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys; lists become text."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
    return flat


def plain_text(value: Any) -> str:
    """A setting or a result as a reader wants to see it: 6 significant digits of a float, yes and no."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
