"""Scores as plain text: one scoring as a table, or several side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmgan.errors import UserError
from mmgan.report.entries import (
    MISSING,
    Metric,
    extractor_text,
    judge_of,
    metrics_of,
    protocol_of,
    real_text,
)

ALLOWED = ("step", "changes under way")
"""Names of `judge_of` in which scores that stand side by side may differ."""


def score_text(entry: Mapping[str, Any]) -> str:
    """A table of the scores with their intervals, by class where they were computed so, and what they depend on."""
    if entry["reason"]:
        return f"no scores: {entry['reason']}"
    rows = [["score", "value", "95 % interval"]]
    rows += [[m.name, m.text(m.value(entry), m.deviation(entry)), _ends(m, entry)] for m in metrics_of(entry)]
    parts = [_table(rows)]
    if "by_class" in entry:
        parts.append(_class_table(entry))
    extractor = entry["extractor"]
    step = f", step {entry['step']:,}" if entry.get("step") is not None else ""
    facts = {
        "samples": f"{entry['samples']:,}{step}",
        "real": real_text(entry),
        "extractor": extractor_text(entry),
        "images": extractor["preprocessing"],
        "protocol": f"{protocol_of(entry)}, {entry['settings']['splits']} splits of the class score",
    }
    parts.append("\n".join(f"{name:9}  {text}" for name, text in facts.items()))
    notes = [f"note: {note}" for note in entry["notes"]]
    notes += [f"note: {change}" for change in entry.get("changed", [])]
    return "\n\n".join([*parts, *(["\n".join(notes)] if notes else [])])


def compare_text(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """Scores that were judged alike, side by side, with the difference from the first.

    Args:
        entries: two or more entries of scores.json by name.

    Raises:
        UserError: where they cannot be compared, naming everything in which they differ.
    """
    names, values = list(entries), list(entries.values())
    judges = [_judge(entry) for entry in values]
    faults = []
    for key in judges[0]:
        found = {name: str(judge[key]) for name, judge in zip(names, judges, strict=True)}
        if len(set(found.values())) > 1:
            faults.append(f"{key} ({' and '.join(dict.fromkeys(found.values()))})")
    if faults:
        raise UserError(f"these scores do not compare: they differ in {'; '.join(faults)}")
    shared = [m for m in metrics_of(values[0]) if all(m in metrics_of(entry) for entry in values)]
    head = ["score", *names]
    head += ["difference"] if len(values) == 2 else [f"{name} - {names[0]}" for name in names[1:]]
    rows = [head]
    for metric in shared:
        texts = [metric.text(metric.value(entry), metric.deviation(entry)) for entry in values]
        ends = [_ends(metric, entry) for entry in values]
        cells = [f"{text} {end}".strip() for text, end in zip(texts, ends, strict=True)]
        rows.append([metric.name, *cells, *(_difference(metric, values[0], entry) for entry in values[1:])])
    missing = {m.name for entry in values for m in metrics_of(entry)} - {m.name for m in shared}
    lines = [_table(rows), f"real  {real_text(values[0])}; protocol {protocol_of(values[0])}"]
    lines += [f"note: {name} is not in all of them" for name in sorted(missing)]
    for name, entry in entries.items():
        step = f"step {entry['step']:,}" if entry.get("step") is not None else "no step"
        lines.append(f"{name}: {entry['samples']:,} samples, {step}, {extractor_text(entry)}")
    return "\n".join(lines)


def _judge(entry: Mapping[str, Any]) -> dict[str, Any]:
    judge = {key: value for key, value in judge_of(entry).items() if key not in ALLOWED}
    settings = {key: value for key, value in entry["settings"].items() if key in ("splits", "seed")}
    settings |= {key: entry["settings"].get(key) for key in ("kid_subsets", "kid_subset_size")}
    judge["scoring settings"] = ", ".join(f"{key} {value}" for key, value in settings.items())
    judge["preparation of images"] = entry["extractor"].get("preprocessing")
    judge["digest of the real images"] = entry["real"].get("digest")
    return judge


def _class_table(entry: Mapping[str, Any]) -> str:
    """A line a class, and the mean over classes."""
    name = str(entry["extractor"]["name"])
    of_one = next(iter(entry["by_class"].values())) | {"extractor": {"name": name}}
    metrics = [m for m in metrics_of(of_one) if m.group == "scores"]
    rows = [["class", "samples", "real", *(metric.name for metric in metrics)]]
    for label, of in entry["by_class"].items():
        whole = of | {"extractor": {"name": name}}
        texts = [m.text(m.value(whole), m.deviation(whole)) for m in metrics]
        rows.append([label, f"{of['samples']:,}", f"{of['real_images']:,}", *texts])
    mean = {"scores": entry["mean_by_class"], "extractor": {"name": name}}
    return _table([*rows, ["mean of classes", "", "", *(m.text(m.value(mean)) for m in metrics)]])


def _ends(metric: Metric, entry: Mapping[str, Any]) -> str:
    ends = metric.interval(entry)
    return "" if ends is None else f"[{metric.text(ends[0])}, {metric.text(ends[1])}]"


def _difference(metric: Metric, first: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    a, b = metric.value(first), metric.value(other)
    return MISSING if a is None or b is None else f"{b - a:+z.{metric.digits}f}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)
