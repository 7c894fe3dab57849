"""A run's scores as HTML, each beside what it was judged with."""

from collections.abc import Mapping
from typing import Any

from mmgan.report.charts import comparable_history
from mmgan.report.markup import Html, picture, table, tag
from mmgan.report.record import Record
from mmgan.report.scores import (
    MISSING,
    extractor_text,
    flatten,
    is_manifest,
    metrics_of,
    plain_text,
    real_text,
)


def score_section(record: Record, chart: bytes | None) -> Html:
    """The table of last and best, its notes, and the chart of scores by step where there is one."""
    entries = _entries(record)
    if not entries:
        return Html(tag("h2", "Scores") + tag("p", "This run has not been scored.", class_="quiet"))
    if not all(is_manifest(entry) for entry in entries.values()):
        return Html(tag("h2", "Results") + _results(entries))
    parts = [tag("h2", "Scores"), _manifests(entries)]
    for note in dict.fromkeys(note for entry in entries.values() for note in entry.get("notes", [])):
        parts.append(tag("p", f"Note: {note}", class_="warning"))
    for name, entry in entries.items():
        if entry.get("reason"):
            parts.append(tag("p", f"No scores ({name}): {entry['reason']}", class_="warning"))
    parts.append(tag("p", _reading(entries), class_="quiet"))
    if chart is not None:
        left_out = len(record.scores.get("history", [])) - len(comparable_history(record))
        caption = "Scores by step; bars: deviation over the splits."
        if left_out:
            caption += f" Left out: {left_out} that could not be computed or were computed otherwise."
        parts.append(tag("figure", picture(chart, "image/png", "scores by step", "chart"), tag("figcaption", caption)))
    return Html("".join(parts))


def provenance(record: Record) -> Html:
    """Versions and device, as they were noted with the last scores."""
    last = record.last
    if last is None:
        return Html("")
    versions = last.get("versions") or {}
    facts = {"device": plain_text(last.get("device"))} | {name: plain_text(v) for name, v in versions.items()}
    if is_manifest(last):
        facts |= {
            "extractor": str(last["extractor"]["name"]),
            "its weights": str(last["extractor"]["digest"]),
            "its feature dimensions": plain_text(last["extractor"].get("dims")),
            "scoring settings": ", ".join(f"{k} {plain_text(v)}" for k, v in last.get("settings", {}).items()),
        }
    rows = [[name, value] for name, value in facts.items()]
    return Html(tag("h2", "Versions and device of the last scores") + table(["what", "value"], rows))


def _entries(record: Record) -> dict[str, Mapping[str, Any]]:
    """last and best, as one where they are the same; without those two names, the file as one entry."""
    scores = record.scores
    if not scores:
        return {}
    last, best = record.last, scores.get("best")
    if last is None:
        return {"result": scores}
    if not isinstance(best, Mapping):
        return {"last": last}
    return {"last, also best": last} if best == last else {"last": last, "best": best}


def _manifests(entries: Mapping[str, Mapping[str, Any]]) -> Html:
    metrics = list(dict.fromkeys(metric for entry in entries.values() for metric in metrics_of(entry)))
    head = ["", "step", *(f"{metric.name} {metric.better}" for metric in metrics), "samples", "against", "extractor"]
    rows = []
    for name, entry in entries.items():
        values = [metric.text(entry) for metric in metrics]
        step = f"{entry['step']:,}" if entry.get("step") is not None else MISSING
        rows.append([name, step, *values, f"{entry['samples']:,}", real_text(entry), extractor_text(entry)])
    return table(head, rows, "scores")


def _reading(entries: Mapping[str, Mapping[str, Any]]) -> str:
    last = next(iter(entries.values()))
    text = "↑ higher is better, ↓ lower is better. ± is the deviation over IS splits and KID subsets, not over seeds."
    if "best" in entries:
        text += (
            " Best is the lowest FID among the scored steps: chosen by its own score, it is flattered by the choice."
        )
    if last["extractor"]["name"] != "inception":
        text += " These are not Inception scores: compare them with others of this extractor alone."
    if last.get("averaged_weights"):
        text += " The generator's averaged weights were scored."
    return text


def _results(entries: Mapping[str, Mapping[str, Any]]) -> Html:
    """Whatever scalars there are, a row each; versions and device have their own section."""
    flat = {
        name: {
            key: value
            for key, value in flatten(entry).items()
            if not key.startswith(("versions.", "history")) and key != "device"
        }
        for name, entry in entries.items()
    }
    keys = list(dict.fromkeys(key for values in flat.values() for key in values))
    rows = [[key.replace("_", " "), *(plain_text(values.get(key)) for values in flat.values())] for key in keys]
    return table(["", *entries], rows, "scores")
