"""The curves that show a run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from mmgan.config.gan import GanRegularizerSettings
from mmgan.report.curves import Panel, loss_curves, point_curves
from mmgan.report.entries import FID, IS, judge_of, metrics_of
from mmgan.report.record import Record

WEIGHTS = [f.name for f in fields(GanRegularizerSettings) if f.type in (float, "float")]
"""The regularizers, by the names that they have in metrics."""

GAN_PANELS = (
    ("loss", {"loss_d": "discriminator, all terms", "loss_g": "generator"}),
    (
        "discriminator's terms",
        {
            "loss_d_real": "real rows",
            "loss_d_fake": "fake rows",
            "loss_d_pairs": "pairs of rows",
            "loss_d_mixed": "mixed rows",
        },
    ),
    ("regularizers,\nwithout their weights", {name: name for name in WEIGHTS}),
)


def loss_chart(record: Record) -> bytes | None:
    """Losses by step as PNG; None before the first step."""
    rows = record.metrics
    drawn = (("training loss", {"loss": "loss"}),) if record.is_classifier else GAN_PANELS
    panels = []
    for ylabel, names in drawn:
        series = {text: _column(rows, name) for name, text in names.items()}
        if known := {text: values for text, values in series.items() if any(map(math.isfinite, values))}:
            panels.append(Panel(ylabel, known))
    return loss_curves([row["step"] for row in rows], panels, record.step_unit) if panels else None


def validation_chart(record: Record) -> bytes | None:
    """Error and NLL on the validation images by epoch as PNG; None before the first epoch's end."""
    rows = [row for row in record.metrics if "val_nll" in row]
    panels = [
        Panel("validation error (%)", {"error": _column(rows, "val_error_percent")}),
        Panel("validation NLL (nats)", {"NLL": _column(rows, "val_nll")}),
    ]
    return point_curves([row["epoch"] for row in rows], panels, "epoch") if rows else None


def score_chart(record: Record) -> bytes | None:
    """The Frechet distance and the class score by step as PNG.

    None unless at least two scores were computed in the same way as the last one.
    """
    entries = comparable_history(record)
    if len(entries) < 2:
        return None
    known = {metric.key: metric for metric in metrics_of(entries[-1])}
    name = known[FID.key].name
    panels = [Panel(f"{name}\nlower is better", {name: [FID.value(entry) or 0.0 for entry in entries]})]
    if IS.key in known:
        name = known[IS.key].name
        mean, spread = ([read(entry) or 0.0 for entry in entries] for read in (IS.value, IS.deviation))
        panels.append(Panel(f"{name}\nhigher is better", {name: mean}, {name: spread}))
    return point_curves([entry["step"] for entry in entries], panels, record.step_unit)


def comparable_history(record: Record) -> list[Mapping[str, Any]]:
    """The run's scores that were computed in the same way as the last one, without those of a non-finite generator."""
    history = record.scores.get("history", [])
    if not history:
        return []
    anywhere = {"step": None, "changes under way": None}
    judge = judge_of(history[-1]) | anywhere
    return [entry for entry in history if judge_of(entry) | anywhere == judge and FID.value(entry) is not None]


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """One value a row; NaN where a row lacks it, and for the mixed rows' loss where nothing was mixed."""

    def is_missing(row: Mapping[str, Any]) -> bool:
        return name not in row or (name == "loss_d_mixed" and set(row.get("layers", [])) == {"none"})

    return [math.nan if is_missing(row) else row[name] for row in rows]
