"""Read the entries of scores.json: the measures, their uncertainty, and how they were judged."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

MISSING = "–"
DIGEST = "digest of the real images"


@dataclass(frozen=True)
class Metric:
    """One number of an entry."""

    name: str  # the usual one, with its unit if it has one
    group: str  # the entry's key under which the number is found ...
    key: str  # ... by this key
    digits: int  # after the point
    better: str  # an arrow to the better values
    spread: str | None = None  # key of its deviation within one scoring

    def value(self, entry: Mapping[str, Any]) -> float | None:
        """The value; None if it was not or could not be computed."""
        value: float | None = entry[self.group].get(stored_key(self.key, entry))
        return value

    def deviation(self, entry: Mapping[str, Any]) -> float | None:
        """Its deviation within one scoring; None where it has none."""
        return entry[self.group].get(stored_key(self.spread, entry)) if self.spread else None

    def interval(self, entry: Mapping[str, Any]) -> tuple[float, float] | None:
        """The ends of its 95 % interval; None where it has none."""
        ends = entry.get("intervals", {}).get(stored_key(self.key, entry))
        return None if ends is None else (ends[0], ends[1])

    def text(self, value: float | None, deviation: float | None = None) -> str:
        """Value ± deviation, with this metric's digits."""
        if value is None:
            return MISSING
        # z: a distance of -1e-9 is 0.000, not -0.000
        return f"{value:z.{self.digits}f}" + ("" if deviation is None else f" ± {deviation:z.{self.digits}f}")


IS = Metric("IS", "scores", "inception_score_mean", 3, "↑", "inception_score_std")
FID = Metric("FID", "scores", "frechet_inception_distance", 3, "↓")
KID = Metric("KID", "scores", "kernel_inception_distance_mean", 5, "↓", "kernel_inception_distance_std")
PRECISION = Metric("precision", "scores", "precision", 3, "↑")
RECALL = Metric("recall", "scores", "recall", 3, "↑")
DENSITY = Metric("density", "scores", "density", 3, "↑")
COVERAGE = Metric("coverage", "scores", "coverage", 3, "↑")
FD_INFINITE = Metric("FD at infinity", "scores", "frechet_distance_infinite", 3, "↓")
MMD = Metric("MMD", "scores", "gaussian_mmd", 3, "↓")
READ = Metric("read as its class", "scores", "read_as_its_class", 3, "↑")
TEST_ERROR = Metric("test error, %", "test", "error_percent", 2, "↓")
TEST_NLL = Metric("test NLL, nats", "test", "nll", 4, "↓")

OF_ANY_EXTRACTOR = {
    IS.key: ("class score", "class_score:{}_mean"),
    IS.spread: ("", "class_score:{}_std"),
    FID.key: ("FD ({})", "frechet_distance"),
    KID.key: ("KD", "kernel_distance_mean"),
    KID.spread: ("", "kernel_distance_std"),
}
"""Name and key, on the features of another extractor, of the scores that are named after Inception."""

OF_DIAGNOSIS = {
    "overfitting": "overfitting r of D",
    "relative_deviation": "deviation of D from the line, layer {}",
    "calibration_error": "calibration error of sigmoid(D), layer {}",
}
"""Key and name, with the layer, of a diagnosis's numbers that have a direction."""

METRICS = (IS, FID, KID, FD_INFINITE, PRECISION, RECALL, DENSITY, COVERAGE, MMD, READ, TEST_ERROR, TEST_NLL)


def metrics_of(entry: Mapping[str, Any]) -> list[Metric]:
    """The metrics in an entry, including those that could not be computed, named after the entry's extractor."""
    known = [metric for metric in METRICS if stored_key(metric.key, entry) in entry.get(metric.group, {})]
    return [*(replace(metric, name=_name(metric, entry)) for metric in known), *_of_diagnosis(entry)]


def _of_diagnosis(entry: Mapping[str, Any]) -> list[Metric]:
    """The metrics of a diagnosis that stands with an entry."""
    found = []
    for key in entry.get("diagnosis", {}):
        kind, _, layer = key.partition(":")
        if kind in OF_DIAGNOSIS:
            found.append(Metric(OF_DIAGNOSIS[kind].format(layer), "diagnosis", key, 3, "↓"))
    return found


def stored_key(key: str | None, entry: Mapping[str, Any]) -> str | None:
    """The key under which an entry keeps a metric. Early runs keep every extractor's scores under Inception's keys."""
    if key in entry.get("scores", {}) or key not in OF_ANY_EXTRACTOR:
        return key
    return OF_ANY_EXTRACTOR[key][1].format(_extractor_name(entry))


def _name(metric: Metric, entry: Mapping[str, Any]) -> str:
    if metric.key not in OF_ANY_EXTRACTOR or _extractor_name(entry) == "inception":
        return metric.name
    return OF_ANY_EXTRACTOR[metric.key][0].format(_extractor_name(entry))


def _extractor_name(entry: Mapping[str, Any]) -> str:
    extractor = entry.get("extractor")
    return str(extractor.get("name")) if isinstance(extractor, Mapping) else MISSING


def is_generated(entry: Mapping[str, Any]) -> bool:
    """Whether generated images were scored, by an extractor, rather than a classifier tested."""
    return "extractor" in entry


def is_diagnosis(entry: Mapping[str, Any]) -> bool:
    """Whether an entry holds a diagnosis alone, of a run without scores."""
    return "diagnosis" in entry and not is_generated(entry)


def extractor_text(entry: Mapping[str, Any]) -> str:
    """The extractor and the first digits of its weights' digest."""
    extractor = entry["extractor"]
    return f"{extractor['name']}, weights {extractor['digest'][:12]}"


def protocol_of(entry: Mapping[str, Any]) -> str:
    """The protocol by name; early entries follow none."""
    protocol = entry.get("protocol")
    return str(protocol["name"]) if isinstance(protocol, Mapping) and "name" in protocol else "custom"


def real_text(entry: Mapping[str, Any]) -> str:
    """The real images behind an entry."""
    if is_generated(entry):
        real = entry["real"]
        return f"{real['name']} ({real['split']}, {real['images']:,} images)"
    return f"{entry['data']['name']} ({entry['data']['split']}, {entry['test']['examples']:,} images)"


def judge_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What two entries must have in common before their values may be averaged, by readable name."""
    common = {"step": entry.get("step"), "changes under way": "; ".join(entry.get("changed", [])) or "none"}
    if "diagnosis" in entry:
        common["held-out images of the diagnosis"] = entry["held_out"]
    if is_diagnosis(entry):
        return common
    if not is_generated(entry):
        return {"test images": real_text(entry), "digest of the test images": entry["data"]["digest"]} | common
    extractor, real = entry["extractor"], entry["real"]
    return {
        "extractor": extractor["name"],
        "extractor weights": extractor["digest"],
        "real split": f"{real['name']} ({real['split']})",
        "number of real images": real["images"],
        DIGEST: real.get("digest"),
        "number of samples": entry["samples"],
        "protocol": protocol_of(entry),
        "scoring settings": plain_settings(entry["settings"]),
        **common,
    }


def judge_text(entry: Mapping[str, Any]) -> str:
    """The judge in one line."""
    if is_diagnosis(entry):
        return f"the diagnosis at step {entry['step']:,}"
    if not is_generated(entry):
        return f"{real_text(entry)} after epoch {entry['epoch']}"
    step = f" at step {entry['step']:,}" if entry.get("step") is not None else ""
    splits = f"{entry['settings']['splits']} IS splits"
    return f"{extractor_text(entry)}: {entry['samples']:,} samples{step} against {real_text(entry)}, {splits}"


def plain_settings(settings: Mapping[str, Any]) -> str:
    """Settings in one line."""
    return ", ".join(f"{name} {plain_text(value)}" for name, value in settings.items())


def plain_text(value: Any) -> str:
    """A setting for readers: floats with 6 significant digits, booleans as yes and no."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
