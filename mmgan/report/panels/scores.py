"""A run's scores, each with its interval and its extractor or test data."""

from collections.abc import Mapping
from typing import Any

from mmgan.report.chart import Chart, Line
from mmgan.report.content import Block, Note, Panel, Panels, Section, Table
from mmgan.report.entries import (
    FID,
    MISSING,
    Metric,
    extractor_text,
    judge_of,
    metrics_of,
    plain_settings,
    plain_text,
    real_text,
)
from mmgan.report.record import Record

Entry = Mapping[str, Any]
Entries = Mapping[str, Entry]


def scores(record: Record) -> Section:
    """The table of last and best, its notes, and a figure of each score by step where there are several."""
    entries = _entries(record)
    if not entries:
        return Section("Scores", [Note("This run has not been scored.")])
    blocks: list[Block] = [_results(entries) if record.is_classifier else _scores(entries)]
    blocks += [Note(warning, "warning") for warning in _warnings(entries)]
    blocks.append(Note(_how_to_read(record, entries)))
    if not record.is_classifier:
        blocks += _by_step(record)
    return Section("Scores", blocks)


def provenance(record: Record) -> list[Section]:
    """Versions and device from the last scores; nothing where there are none."""
    last = record.last
    if last is None:
        return []
    facts = {"device": plain_text(last["device"])} | {k: plain_text(v) for k, v in last["versions"].items()}
    if record.is_classifier:
        facts["test images"] = f"{real_text(last)}, digest {last['data']['digest']}"
    else:
        facts |= {
            "extractor": last["extractor"]["name"],
            "its weights": last["extractor"]["digest"],
            "its feature dimensions": plain_text(last["extractor"]["dims"]),
            "scoring settings": plain_settings(last["settings"]),
        }
    rows = [[name, value] for name, value in facts.items()]
    return [Section("Versions and device of the last scores", [Table(["what", "value"], rows)])]


def comparable_history(record: Record) -> list[Entry]:
    """The run's scores that were computed in the same way as the last one, without those of a non-finite generator."""
    history = record.scores.get("history", [])
    if not history:
        return []
    anywhere = {"step": None, "changes under way": None}
    judge = judge_of(history[-1]) | anywhere
    return [entry for entry in history if judge_of(entry) | anywhere == judge and FID.value(entry) is not None]


def _by_step(record: Record) -> list[Block]:
    entries = comparable_history(record)
    left_out = len(record.scores.get("history", [])) - len(entries)
    said = [Note(f"Left out: {left_out} that could not be computed or were computed otherwise.")] if left_out else []
    if len(entries) < 2:
        title, why = "Scores by step", "Fewer than two scores were computed in the same way, so there is no curve."
        return [Panels([Panel(title, why)]), *said]
    steps = [entry["step"] for entry in entries]
    panels = []
    for metric in metrics_of(entries[-1]):
        ends = [_ends(metric, entry) for entry in entries]
        line = Line(metric.name, steps, [metric.value(entry) for entry in entries], errors=ends, look="dots")
        better = "lower is better" if metric.better == "↓" else "higher is better"
        chart = Chart(record.step_unit, f"{metric.name}, {better}", [line], whole_x=True)
        panels.append(Panel(f"{metric.name} by step", chart, _bars(metric, entries)))
    return [Panels(panels), *said]


def _ends(metric: Metric, entry: Entry) -> tuple[float, float] | None:
    """The 95 % interval, or else the value with its deviation within the scoring to both sides."""
    value, deviation = metric.value(entry), metric.deviation(entry)
    if (known := metric.interval(entry)) is not None or value is None or deviation is None:
        return known
    return value - deviation, value + deviation


def _bars(metric: Metric, entries: list[Entry]) -> str:
    if metric.interval(entries[-1]) is not None:
        return "Bars: 95 % intervals."
    return "Bars: deviation over splits or subsets." if metric.deviation(entries[-1]) is not None else ""


def _entries(record: Record) -> Entries:
    """last and best, as one where they are the same."""
    last, best = record.last, record.scores.get("best")
    if last is None:
        return {}
    if best is None:
        return {"last": last}
    return {"last, also best": last} if best == last else {"last": last, "best": best}


def _scores(entries: Entries) -> Table:
    metrics = list(dict.fromkeys(metric for entry in entries.values() for metric in metrics_of(entry)))
    rows = []
    for name, entry in entries.items():
        values = [_value(metric, entry) for metric in metrics]
        step = f"{entry['step']:,}" if entry["step"] is not None else MISSING
        rows.append([name, step, *values, f"{entry['samples']:,}", real_text(entry), extractor_text(entry)])
    return Table(["", "step", *map(_head, metrics), "samples", "against", "extractor"], rows, "scores")


def _value(metric: Metric, entry: Entry) -> str:
    text, ends = metric.text(metric.value(entry), metric.deviation(entry)), metric.interval(entry)
    return text if ends is None else f"{text} [{metric.text(ends[0])}, {metric.text(ends[1])}]"


def _results(entries: Entries) -> Table:
    metrics = metrics_of(next(iter(entries.values())))
    rows = []
    for name, entry in entries.items():
        values = [metric.text(metric.value(entry)) for metric in metrics]
        validation = entry.get("validation")
        seen = f"error {validation['error_percent']:.2f} %, NLL {validation['nll']:.4f}" if validation else MISSING
        rows.append([name, str(entry["epoch"]), *values, real_text(entry), seen])
    return Table(["", "epoch", *map(_head, metrics), "tested on", "validation"], rows, "scores")


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
    if any(entry.get("intervals") for entry in entries.values()):
        text += " In brackets: 95 % intervals over the samples, not over seeds."
    if "best" in entries:
        text += " Best is the lowest distance among the scored steps: its own score chose it, which flatters it."
    if last["extractor"]["name"] != "inception":
        text += " These are not Inception scores: compare them with others of this extractor alone."
    return text + (" The generator's averaged weights were scored." if last["averaged_weights"] else "")
