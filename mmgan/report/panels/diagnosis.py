"""What training did to the discriminator: its logits, D from fake to real, its gradient."""

from collections.abc import Sequence

from mmgan.report.chart import Chart, Line, Row, Rows
from mmgan.report.content import Note, Panel, Panels, Section
from mmgan.report.diagnosis import Diagnosis, kinds_of, layer_name, main_numbers, r_text
from mmgan.report.record import Record

ALONG = "lam (0: fake, 1: training image)"


def discriminator(record: Record) -> Section:
    """The last diagnosis, and how the numbers went over training."""
    if not record.diagnoses:
        how = f"This run's discriminator was not diagnosed: mmgan diagnose {record.folder.path}, or --diagnose-every."
        return Section("Discriminator", [Note(how)])
    last = record.diagnoses[-1]
    panels = [_logits(last), *_history(record), _along(last), _calibration(last), _gradient(last)]
    counts = ", ".join(f"{last['images'][key]:,} {name}" for key, name in kinds_of(last).items())
    source = f" of {last['held_out']}" if last["held_out"] else ""
    notes = [Note(f"On {counts}{source}, and {last['pairs']:,} pairs of a training image and a fake.")]
    if "held_out" not in last["logits"]:
        notes.append(Note("No images were held out (--holdout), so overfitting is unknown."))
    return Section("Discriminator", [Panels(panels), *notes])


def _logits(last: Diagnosis) -> Panel:
    rows = []
    for key, name in kinds_of(last).items():
        mean, quantiles = last["logits"][key]["mean"], last["logits"][key]["quantiles"]
        text = "" if mean is None else f"mean {mean:.3f}"
        rows.append(Row(name, box=None if None in quantiles else quantiles, dot=mean, text=text))
    r = f" r = {r_text(last)}." if "held_out" in last["logits"] else ""
    caption = f"After step {last['step']:,}. Boxes: quartiles; whiskers: 5 % and 95 %; dots: means.{r}"
    return Panel("Logits of D", Rows("D (logit)", rows), caption)


def _history(record: Record) -> list[Panel]:
    """Mean logits, r and the deviations from the line by step, of the diagnoses that have what the last one has."""
    last = record.diagnoses[-1]
    alike = [entry for entry in record.diagnoses if main_numbers(entry).keys() == main_numbers(last).keys()]
    if len(alike) < 2:
        return [Panel("Logits by step", "There is one diagnosis, so nothing to follow over training.")]
    steps = [entry["step"] for entry in alike]

    def chart(y_label: str, lines: Sequence[Line]) -> Chart:
        return Chart(record.step_unit, y_label, lines, whole_x=True)

    means = [
        Line(name, steps, [entry["logits"][key]["mean"] for entry in alike], look="dots")
        for key, name in kinds_of(last).items()
    ]
    found = [Panel("Logits by step", chart("mean of D (logit)", means))]
    numbers = [main_numbers(entry) for entry in alike]
    if "overfitting" in numbers[-1]:
        line = Line("r", steps, [number["overfitting"] for number in numbers], look="dots")
        how = (
            "r = (E D(train) - E D(held-out)) / (E D(train) - E D(fake)): 0 for no overfitting, 1 where held-out"
            " images look like fakes."
        )
        found.append(Panel("Overfitting r of D", chart("r", [line]), how))
    bends = [
        Line(layer_name(layer), steps, [number[f"relative_deviation:{layer}"] for number in numbers], look="dots")
        for layer in last["layers"]
    ]
    what = "Mean distance of D from the straight line between fake and training image, over |D(real) - D(fake)|."
    return [*found, Panel("Deviation from the line", chart("relative deviation", bends), what)]


def _along(last: Diagnosis) -> Panel:
    lines = _by_layer(last, "logit")
    ends = next(iter(last["layers"].values()))["logit"]
    if ends[0] is not None and ends[-1] is not None:
        lines.append(Line("the line", [0.0, 1.0], [ends[0], ends[-1]], look="reference"))
    return Panel("D from fake to real", Chart(ALONG, "mean of D (logit)", lines, x_range=(0.0, 1.0)), _mixed_at())


def _calibration(last: Diagnosis) -> Panel:
    lines = [*_by_layer(last, "sigmoid"), Line("calibrated", [0.0, 1.0], [0.0, 1.0], look="reference")]
    chart = Chart(ALONG, "mean of sigmoid(D)", lines, x_range=(0.0, 1.0), y_range=(0.0, 1.0))
    return Panel("Calibration of sigmoid(D)", chart, _mixed_at())


def _gradient(last: Diagnosis) -> Panel:
    norms = last["gradient_norm"]
    lines = [Line("along lam", last["lam"], norms["lam"], look="dots")]
    if norms.get("held_out") is not None:
        lines.append(Line("at held-out images", [1.0], [norms["held_out"]], look="dots"))
    known = [value for line in lines for value in line.y if value is not None]
    top = 1.08 * max(known, default=1.0) or 1.0
    chart = Chart(f"{ALONG}, in pixels", "mean norm", lines, x_range=(-0.02, 1.02), y_range=(0.0, top))
    return Panel("Gradient of D by the image", chart)


def _by_layer(last: Diagnosis, key: str) -> list[Line]:
    return [Line(layer_name(name), last["lam"], of[key], look="dots") for name, of in last["layers"].items()]


def _mixed_at() -> str:
    return "Pairs of a training image and a fake are mixed at each layer."
