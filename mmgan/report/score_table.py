"""A run's scores as HTML, each with its extractor or test data."""

from collections.abc import Mapping
from typing import Any

from mmgan.report.charts import comparable_history
from mmgan.report.entries import (
    MISSING,
    Metric,
    extractor_text,
    is_generated,
    metrics_of,
    plain_settings,
    plain_text,
    real_text,
)
from mmgan.report.markup import Html, figure, note, picture, section, table, tag
from mmgan.report.record import Record

Entries = Mapping[str, Mapping[str, Any]]


def score_section(record: Record, chart: bytes | None) -> Html:
    """The table of last and best, its notes, and the chart of scores by step where there is one."""
    entries = _entries(record)
    if not entries:
        return section("Scores", note("This run has not been scored."))
    parts = [_results(entries) if record.is_classifier else _scores(entries)]
    parts += [tag("p", warning, class_="warning") for warning in _warnings(entries)]
    parts.append(note(_how_to_read(record, entries)))
    if chart is not None:
        left_out = len(record.scores.get("history", [])) - len(comparable_history(record))
        caption = "Scores by step; bars: deviation over the IS splits."
        if left_out:
            caption += f" Left out: {left_out} that could not be computed or were computed otherwise."
        parts.append(figure(picture(chart, "image/png", "scores by step", "chart"), caption))
    return section("Scores", *parts)


def provenance(record: Record) -> Html:
    """Versions and device from the last scores."""
    last = record.last
    if last is None:
        return Html("")
    facts = {"device": plain_text(last["device"])} | {k: plain_text(v) for k, v in last["versions"].items()}
    if is_generated(last):
        facts |= {
            "extractor": last["extractor"]["name"],
            "its weights": last["extractor"]["digest"],
            "its feature dimensions": plain_text(last["extractor"]["dims"]),
            "scoring settings": plain_settings(last["settings"]),
        }
    else:
        facts["test images"] = f"{real_text(last)}, digest {last['data']['digest']}"
    return section("Versions and device of the last scores", table(["what", "value"], list(facts.items())))


def _entries(record: Record) -> Entries:
    """last and best, as one where they are the same."""
    last, best = record.last, record.scores.get("best")
    if last is None:
        return {}
    if best is None:
        return {"last": last}
    return {"last, also best": last} if best == last else {"last": last, "best": best}


def _scores(entries: Entries) -> Html:
    metrics = list(dict.fromkeys(metric for entry in entries.values() for metric in metrics_of(entry)))
    rows = []
    for name, entry in entries.items():
        values = [metric.text(metric.value(entry), metric.deviation(entry)) for metric in metrics]
        step = f"{entry['step']:,}" if entry["step"] is not None else MISSING
        rows.append([name, step, *values, f"{entry['samples']:,}", real_text(entry), extractor_text(entry)])
    return table(["", "step", *map(_head, metrics), "samples", "against", "extractor"], rows, "scores")


def _results(entries: Entries) -> Html:
    metrics = metrics_of(next(iter(entries.values())))
    rows = []
    for name, entry in entries.items():
        values = [metric.text(metric.value(entry)) for metric in metrics]
        validation = entry.get("validation")
        seen = f"error {validation['error_percent']:.2f} %, NLL {validation['nll']:.4f}" if validation else MISSING
        rows.append([name, str(entry["epoch"]), *values, real_text(entry), seen])
    return table(["", "epoch", *map(_head, metrics), "tested on", "validation"], rows, "scores")


def _head(metric: Metric) -> str:
    return f"{metric.name} {metric.better}"


def _warnings(entries: Entries) -> list[str]:
    warnings = [f"No scores ({name}): {entry['reason']}" for name, entry in entries.items() if entry.get("reason")]
    for entry in entries.values():
        warnings += [f"Note: {note}" for note in entry.get("notes", [])]
        warnings += [f"--allow-changed let pass: {change}" for change in entry.get("changed", [])]
    return list(dict.fromkeys(warnings))


def _how_to_read(record: Record, entries: Entries) -> str:
    last = next(iter(entries.values()))
    text = "↑ higher is better, ↓ lower is better."
    if record.is_classifier:
        text += " Best was chosen on the validation images."
        return text + (" The averaged weights were tested." if last["averaged_weights"] else "")
    text += " ± is the deviation over IS splits and KID subsets, not over seeds."
    if "best" in entries:
        text += " Best is the lowest distance among the scored steps: its own score chose it, which flatters it."
    if last["extractor"]["name"] != "inception":
        text += " These are not Inception scores: compare them with others of this extractor alone."
    return text + (" The generator's averaged weights were scored." if last["averaged_weights"] else "")
