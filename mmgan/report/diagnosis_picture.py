"""A diagnosis as one PNG, for trackers and documents; a run's page draws it as single figures."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmgan.analysis.png import png_bytes
from mmgan.report.diagnosis import Diagnosis, kinds_of, layer_name, r_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#1f6fb2", "#d55e00", "#1b9e77", "#7b5ea7", "#b8327a")
DOTS_PER_INCH = 130


def diagnosis_picture(entry: Diagnosis) -> bytes:
    """A diagnosis as PNG: logits, D along lam, calibration of sigmoid(D), norm of the gradient."""
    from matplotlib.figure import Figure  # here: it takes a second

    drawing = Figure(figsize=(10, 7.2), layout="constrained")
    ((logits, along), (sigmoid, gradient)) = drawing.subplots(2, 2)
    lam = entry["lam"]
    _draw_logits(logits, entry)
    for ax, key, label in ((along, "logit", "mean of D"), (sigmoid, "sigmoid", "mean of sigmoid(D)")):
        for i, (layer, values) in enumerate(entry["layers"].items()):
            style = {"color": COLOURS[i % len(COLOURS)], "marker": "o", "markersize": 3}
            ax.plot(lam, _known(values[key]), label=layer_name(layer), **style)
        _axes(ax, "lam (0: fake, 1: training image)", label)
    ends = _known(next(iter(entry["layers"].values()))["logit"])
    along.plot([0, 1], [ends[0], ends[-1]], "--", color="0.4", label="the line")
    sigmoid.plot([0, 1], [0, 1], "--", color="0.4", label="sigmoid(D) = lam")
    norms = _known(entry["gradient_norm"]["lam"])
    gradient.plot(lam, norms, color=COLOURS[0], marker="o", markersize=3, label="along lam")
    if (held_out := entry["gradient_norm"].get("held_out")) is not None:
        gradient.plot([1], [held_out], "s", color=COLOURS[1], markersize=5, label="at held-out images")
    _axes(gradient, "lam in pixels (0: fake, 1: training image)", "mean norm of the gradient of D")
    gradient.set_ylim(0, 1.05 * gradient.get_ylim()[1])
    for ax in (along, sigmoid, gradient):  # above the axes, where it hides no point
        ax.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(-0.02, 1.0), fontsize=8)
    drawing.suptitle(f"generator step {entry['step']:,}", fontsize=10)
    return png_bytes(drawing, DOTS_PER_INCH)


def _draw_logits(ax: "Axes", entry: Diagnosis) -> None:
    kinds = kinds_of(entry)
    boxes = []
    for key, name in kinds.items():
        low, first, median, third, high = _known(entry["logits"][key]["quantiles"])
        (mean,) = _known([entry["logits"][key]["mean"]])
        box = {"whislo": low, "q1": first, "med": median, "q3": third, "whishi": high, "mean": mean}
        boxes.append({**box, "label": name, "fliers": []})
    ax.bxp(boxes, orientation="horizontal", showfliers=False, showmeans=True, widths=0.5)
    ax.invert_yaxis()
    _axes(ax, "D (logit; triangle: mean)", "")
    ax.set_title(f"r = {r_text(entry)}" if "held_out" in kinds else "no held-out images, no r", fontsize=10)


def _axes(ax: "Axes", xlabel: str, ylabel: str) -> None:
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(color="0.92")
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def _known(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]
