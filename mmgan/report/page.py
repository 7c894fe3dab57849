"""report.html: a run on one self-contained page."""

import shlex
from collections import Counter
from pathlib import Path

from mmgan.report.adamix import intervals
from mmgan.report.charts import loss_chart, score_chart, validation_chart
from mmgan.report.curves import smoothing_window
from mmgan.report.diagnosis import diagnosis_section
from mmgan.report.entries import MISSING, plain_text
from mmgan.report.grids import STRIP, evenly_spaced, small_grid, whole_grid
from mmgan.report.markup import Html, definitions, document, figure, note, picture, section, table, tag
from mmgan.report.record import Record, read_record
from mmgan.report.score_table import provenance, score_section
from mmgan.runs.folder import RunFolder
from mmgan.storage import write_atomically


def write_report(folder: RunFolder) -> Path:
    """Write the run's report.html, whole or not at all, from the run folder.

    The page is self-contained: it embeds its pictures, has no script and loads nothing from the network. It says what
    is still missing (scores, samples).

    Returns:
        Its path.

    Raises:
        UserError: if the folder is not a run's, or a file in it is damaged.
    """
    record = read_record(folder)
    title = f"{record.config.get('data', record.name)}, {_mixing(record)}, seed {record.config.get('seed', MISSING)}"
    sections = [
        _heading(record, title),
        score_section(record, score_chart(record)),
        _losses(record),
        intervals(record),
        diagnosis_section(record.diagnoses, record.step_unit),
        _samples(record),
        _layers(record),
        _commands(record),
        provenance(record),
        _settings(record),
    ]
    write_atomically(folder.report_file, document(title, [section for section in sections if section]))
    return folder.report_file


def _mixing(record: Record) -> str:
    if not record.layers:
        return "no mixing (baseline)"
    return f"layers {','.join(record.layers)}, {record.law}"


def _heading(record: Record, title: str) -> Html:
    config = record.config
    total = config.get("epochs" if record.is_classifier else "steps")
    if record.is_classifier:
        done = f"epoch {record.metrics[-1].get('epoch', MISSING) if record.metrics else 0} of {total}"
    else:
        done = f"{record.step:,} of {total:,} generator steps"
    facts = {
        "run": record.name,
        "data": plain_text(config.get("data")),
        "layers": ", ".join(record.layers) or "none",
        "alpha": record.law.removeprefix("alpha ") if record.layers else MISSING,
        "seed": plain_text(config.get("seed")),
        "network": plain_text(config.get("arch")),
        "trained": done,
        "images seen": f"{record.metrics[-1].get('images', 0):,}" if record.metrics else "0",
    }
    return Html(tag("h1", title) + definitions(facts, "facts"))


def _losses(record: Record) -> Html:
    chart, validation = loss_chart(record), validation_chart(record)
    if chart is None:
        return section("Losses", note("No step has been noted yet."))
    window = smoothing_window(len(record.metrics))
    caption = f"Faint: every step. Strong: mean over {window} steps around. Single outliers may lie beyond the axes."
    skipped = sum("non_finite" in row for row in record.metrics)
    if skipped:
        caption += f" {skipped:,} steps were skipped: a loss or gradient was not finite."
    parts = [figure(picture(chart, "image/png", "losses by step", "chart"), caption)]
    if validation is not None:
        drawn = picture(validation, "image/png", "validation by epoch", "chart")
        parts.append(figure(drawn, "On the validation images."))
    return section("Losses", *parts)


def _samples(record: Record) -> Html:
    if record.is_classifier:
        return Html("")
    if not record.grids:
        return section("Samples", note("No sample grid has been written yet."))
    *earlier, newest = record.grids
    file = f"samples/{record.grids[newest].name}"
    caption = f"Generator step {newest:,}; every grid is made from the same latents. The file: {file}"
    largest = figure(picture(*whole_grid(record.grids[newest]), f"samples at step {newest}", "grid"), caption)
    strip = [
        figure(picture(*small_grid(record.grids[step]), f"samples at step {step}"), f"step {step:,}")
        for step in evenly_spaced(earlier, STRIP)
    ]
    return section("Samples", largest, tag("div", *strip, class_="strip") if strip else "")


def _layers(record: Record) -> Html:
    """How often rows were mixed at each layer."""
    counts = Counter(str(layer) for row in record.metrics for layer in row.get("layers", []))
    total = counts.total()
    if not total or not record.layers:
        return Html("")
    mixed = total - counts["none"]
    unit = "plans" if record.is_classifier else "discriminator steps"
    rows = [
        [
            f"layer {name}" if name != "pixel" else name,
            f"{counts[name]:,}",
            f"{100 * counts[name] / max(mixed, 1):.1f} %",
            tag("span", class_="bar", style=f"width:{12 * counts[name] / max(mixed, 1):.2f}rem"),
        ]
        for name in record.layers
    ]
    expected = f"{100 / len(record.layers):.1f} %"
    below = f"Of {mixed:,} {unit} that mixed rows. All layers are equally likely: {expected} is expected of each."
    if counts["none"]:
        below += f" {counts['none']:,} {unit} mixed nothing (--mix-start, --mix-every)."
    return section("Mixing layers", table(["layer", unit, "share", ""], rows), note(below))


def _commands(record: Record) -> Html:
    path = str(record.folder.path)
    train = ["mmgan", "train-classifier" if record.is_classifier else "train-gan"]
    lines = []
    if not record.is_finished:
        lines.append(("go on from the newest checkpoint", [*train, "--resume", "--out", path]))
    if record.is_classifier:
        lines.append(("every measure of the paper, on the test set", ["mmgan", "evaluate", path]))
    else:
        lines.append(("score", ["mmgan", "score", path]))
    seed = int(record.config.get("seed", 0))
    settings: dict[str, object] = {"config": record.folder.config_file, "seed": seed + 1}
    settings["out"] = f"{path.removesuffix(f'-seed{seed}')}-seed{seed + 1}"
    again = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    lines.append(("the same with another seed", [*train, *again]))
    text = "\n\n".join(f"# {what}\n{shlex.join(words)}" for what, words in lines)
    return section("What to do with it", tag("pre", text))


def _settings(record: Record) -> Html:
    values = {str(name): plain_text(value) for name, value in record.config.items()}
    return section("Configuration", definitions(values, "settings"))
