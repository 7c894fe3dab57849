"""Diagnoses of a discriminator: their main numbers, their picture, and their part of the page."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmgan.analysis.png import png_bytes
from mmgan.report.curves import COLOURS, DOTS_PER_INCH, Panel, point_curves
from mmgan.report.entries import MISSING
from mmgan.report.markup import Html, figure, note, picture, section

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Diagnosis = Mapping[str, Any]
"""An entry of diagnosis.json."""

KINDS = {"train": "training images", "fake": "fakes", "held_out": "held-out images"}


def main_numbers(entry: Diagnosis) -> dict[str, float | None]:
    """r, and of each layer the deviation from the line and the calibration error, by name; None: not finite."""
    numbers = {"overfitting": entry["overfitting"]} if "held_out" in entry["logits"] else {}
    for key in ("relative_deviation", "calibration_error"):
        numbers |= {f"{key}:{layer}": values[key] for layer, values in entry["layers"].items()}
    at = entry["gradient_norm"]["lam"]
    places = {"fake": at[0], "between": at[len(at) // 2], "train": at[-1]}
    return numbers | {f"gradient_norm:{where}": norm for where, norm in places.items()}


def diagnosis_line(entry: Diagnosis) -> str:
    """A diagnosis in one line."""
    r = f"r {_text(entry['overfitting'])}" if "held_out" in entry["logits"] else "no r (no --holdout)"
    means = ", ".join(f"{name} {_text(entry['logits'][key]['mean'])}" for key, name in _kinds(entry).items())
    bends = ", ".join(f"{layer} {_text(values['relative_deviation'])}" for layer, values in entry["layers"].items())
    return f"D: {r}; mean logit of {means}; deviation from the line at layer {bends}"


def diagnosis_picture(entry: Diagnosis) -> bytes:
    """A diagnosis as PNG: logits, D along lam, calibration of sigmoid(D), norm of the gradient."""
    from matplotlib.figure import Figure  # here: it takes a second

    drawing = Figure(figsize=(10, 6.6), layout="constrained")
    ((logits, along), (sigmoid, gradient)) = drawing.subplots(2, 2)
    lam = entry["lam"]
    _draw_logits(logits, entry)
    for ax, key, label in ((along, "logit", "mean of D"), (sigmoid, "sigmoid", "mean of sigmoid(D)")):
        for colour, (layer, values) in zip(_colours(entry["layers"]), entry["layers"].items(), strict=True):
            ax.plot(lam, _known(values[key]), color=colour, marker="o", markersize=3, label=_layer_name(layer))
        _axes(ax, "lam (0: fake, 1: training image)", label)
    ends = _known(next(iter(entry["layers"].values()))["logit"])
    along.plot([0, 1], [ends[0], ends[-1]], "--", color="0.4", label="the line")
    sigmoid.plot([0, 1], [0, 1], "--", color="0.4", label="sigmoid(D) = lam")
    gradient.plot(
        lam, _known(entry["gradient_norm"]["lam"]), color=COLOURS[0], marker="o", markersize=3, label="along lam"
    )
    if (held_out := entry["gradient_norm"].get("held_out")) is not None:
        gradient.plot([1], [held_out], "s", color=COLOURS[1], markersize=5, label="at held-out images")
    _axes(gradient, "lam in pixels (0: fake, 1: training image)", "mean norm of the gradient of D")
    gradient.set_ylim(0, 1.05 * gradient.get_ylim()[1])
    for ax in (along, sigmoid, gradient):
        ax.legend(frameon=False, fontsize=8)
    drawing.suptitle(f"generator step {entry['step']:,}", fontsize=10)
    return png_bytes(drawing, DOTS_PER_INCH)


def diagnosis_section(diagnoses: Sequence[Diagnosis], step_unit: str) -> Html:
    """The last diagnosis, and how its numbers went over training; empty where there is none."""
    if not diagnoses:
        return Html("")
    last = diagnoses[-1]
    counts = ", ".join(f"{last['images'][key]:,} {name}" for key, name in _kinds(last).items())
    caption = (
        f"On {counts}{_source(last)}, and {last['pairs']:,} pairs of a training image and a fake. Boxes: quartiles;"
        " whiskers: 5 % and 95 %. r = (E D(train) - E D(held-out)) / (E D(train) - E D(fake)): 0 for no overfitting, 1"
        " where held-out images look like fakes."
    )
    parts = [figure(picture(diagnosis_picture(last), "image/png", "diagnosis of the discriminator", "chart"), caption)]
    if (chart := _history(diagnoses, step_unit)) is not None:
        parts.append(figure(picture(chart, "image/png", "diagnoses by step", "chart"), "By generator step."))
    if "held_out" not in last["logits"]:
        parts.append(note("No images were held out (--holdout), so overfitting is unknown."))
    return section("Discriminator", *parts)


def _history(diagnoses: Sequence[Diagnosis], step_unit: str) -> bytes | None:
    """r and the deviations from the line by step, of the diagnoses that have what the last one has."""
    names = main_numbers(diagnoses[-1])
    alike = [entry for entry in diagnoses if main_numbers(entry).keys() == names.keys()]
    if len(alike) < 2:
        return None

    def column(name: str) -> list[float]:
        return _known([main_numbers(entry)[name] for entry in alike])

    bends = {_layer_name(layer): column(f"relative_deviation:{layer}") for layer in diagnoses[-1]["layers"]}
    panels = [Panel("deviation from the line,\nover |D(real) - D(fake)|", bends)]
    if "overfitting" in names:
        panels.insert(0, Panel("r", {"r": column("overfitting")}))
    return point_curves([entry["step"] for entry in alike], panels, step_unit)


def _draw_logits(ax: "Axes", entry: Diagnosis) -> None:
    kinds = _kinds(entry)
    boxes = []
    for key, name in kinds.items():
        low, first, median, third, high = _known(entry["logits"][key]["quantiles"])
        (mean,) = _known([entry["logits"][key]["mean"]])
        box = {"whislo": low, "q1": first, "med": median, "q3": third, "whishi": high, "mean": mean}
        boxes.append({**box, "label": name, "fliers": []})
    ax.bxp(boxes, orientation="horizontal", showfliers=False, showmeans=True, widths=0.5)
    ax.invert_yaxis()
    _axes(ax, "D (logit; triangle: mean)", "")
    r = f"r = {_text(entry['overfitting'])}" if "held_out" in kinds else "no held-out images, no r"
    ax.set_title(r, fontsize=10)


def _axes(ax: "Axes", xlabel: str, ylabel: str) -> None:
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(color="0.92")
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def _colours(layers: Mapping[str, Any]) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(len(layers))]


def _kinds(entry: Diagnosis) -> dict[str, str]:
    return {key: name for key, name in KINDS.items() if key in entry["logits"]}


def _source(entry: Diagnosis) -> str:
    return f" of {entry['held_out']}" if entry["held_out"] else ""


def _layer_name(layer: str) -> str:
    return layer if layer == "pixel" else f"layer {layer}"


def _known(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _text(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"
