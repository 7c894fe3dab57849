"""Losses and every term of them by step; a classifier's validation by epoch."""

from collections.abc import Mapping
from dataclasses import fields

from mmgan.config.gan import GanRegularizerSettings
from mmgan.report.chart import Chart, Line
from mmgan.report.content import Note, Panel, Panels, Section
from mmgan.report.record import Record
from mmgan.report.series import Floats, column, curves, how_drawn

REGULARIZERS = [f.name for f in fields(GanRegularizerSettings) if f.type in (float, "float")] + ["zcr_g"]
"""By the names that they have in metrics."""

LOSSES = {"loss_d": "discriminator, all terms", "loss_g": "generator"}
TERMS = {
    "loss_d_real": "real rows",
    "loss_d_fake": "fake rows",
    "loss_d_pairs": "pairs of rows",
    "loss_d_mixed": "mixed rows",
}
OF_ADAMIX = {"loss_classes": "classes", "loss_intrusion": "intrusion"}


def losses(record: Record) -> Section:
    """The losses, the terms of the discriminator's, and each regularizer by itself."""
    if not record.metrics:
        return Section("Losses", [Note("No step has been noted yet.")])
    steps = column(record.metrics, "step")
    if record.is_classifier:
        found = [_panel(record, steps, "Training loss", "loss (nats)", {"loss": "loss"})]
        found.append(_validation(record))
    else:
        found = [
            _panel(record, steps, "Losses", "loss", LOSSES),
            _panel(record, steps, "Terms of the discriminator's loss", "loss", TERMS),
        ]
        found += [
            _panel(record, steps, f"Regularizer {name}", "without its weight", {name: name})
            for name in REGULARIZERS
            if any(name in row for row in record.metrics)
        ]
    skipped = sum("non_finite" in row for row in record.metrics)
    notes = [Note(f"{skipped:,} steps were skipped: a loss or gradient was not finite.")] if skipped else []
    return Section("Losses", [Panels(found), *notes])


def _panel(record: Record, steps: Floats, title: str, y_label: str, names: Mapping[str, str]) -> Panel:
    columns = {text: column(record.metrics, name) for name, text in names.items()}
    if "mixed rows" in columns:  # where nothing was mixed, their loss is no 0
        mixed = [set(row.get("layers", [])) != {"none"} for row in record.metrics]
        columns["mixed rows"][[not one for one in mixed]] = float("nan")
    chart = curves(steps, columns, record.step_unit, y_label)
    if chart is None:
        return Panel(title, "No step has noted a finite value.")
    return Panel(title, chart, how_drawn(chart, steps))


def _validation(record: Record) -> Panel:
    title = "Validation error"
    rows = [row for row in record.metrics if "val_nll" in row]
    if not rows:
        return Panel(title, "No epoch has ended yet.")
    epochs = [row["epoch"] for row in rows]
    errors = Line("error", epochs, [row.get("val_error_percent") for row in rows], look="dots")
    best = min(rows, key=lambda row: (row.get("val_error_percent", 0.0), row["val_nll"]))
    nll = f"{rows[-1]['val_nll']:.4f} nats after the last epoch"
    nll += ", the best one" if best is rows[-1] else f", {best['val_nll']:.4f} after the best, {best['epoch']}"
    caption = f"On the validation images. NLL: {nll}."
    return Panel(title, Chart("epoch", "error (%)", [errors], whole_x=True), caption)
