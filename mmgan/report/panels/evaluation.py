"""What `mmgan evaluate` measured of a classifier."""

from collections.abc import Mapping
from typing import Any

from mmgan.analysis.result_rows import result_rows
from mmgan.report.chart import Bars, Chart, Line, Row, Rows
from mmgan.report.content import Block, Note, Panel, Panels, Section, Table
from mmgan.report.record import Record


def evaluation(record: Record) -> Section:
    """The numbers and figures of evaluation.json."""
    results = record.evaluation
    if results is None:
        how = f"This classifier has not been evaluated further: mmgan evaluate {record.folder.path}"
        return Section("Evaluation", [Note(how)])
    panels = [_reliability(results), _confidence(results), _deformations(results), _attacks(results)]
    panels += _spectra(results)
    data = results["data"]
    images = f"{results['examples']:,} images of {data['name']} ({data['split']})"
    where = f"{results['checkpoint']}, epoch {results['epoch']}, on {images}."
    warnings: list[Block] = [Note(f"Note: {change}", "warning") for change in results["changed"]]
    rows = [[name, value, how] for name, value, how in result_rows(results)]
    return Section("Evaluation", [*warnings, Panels(panels), Table(["measure", "value", "how"], rows), Note(where)])


def _reliability(results: Mapping[str, Any]) -> Panel:
    curve = results["reliability"]
    filled = [(c, a) for c, a in zip(curve["confidence"], curve["accuracy"], strict=True) if None not in (c, a)]
    points = Line("accuracy at the bin's mean confidence", [c for c, _ in filled], [a for _, a in filled], look="dots")
    diagonal = Line("calibrated", [0.0, 1.0], [0.0, 1.0], look="reference")
    chart = Chart(
        "confidence (largest softmax probability)",
        "accuracy (share of right answers)",
        [points, diagonal],
        Bars("accuracy", curve["edges"], curve["accuracy"]),
        x_range=(0.0, 1.0),
        y_range=(0.0, 1.0),
    )
    error = 100 * results["expected_calibration_error"]
    return Panel("Reliability", chart, f"Expected calibration error {error:.2f} %.")


def _confidence(results: Mapping[str, Any]) -> Panel:
    curve = results["reliability"]
    total = max(1, sum(curve["count"]))
    bars = Bars("", curve["edges"], [100 * count / total for count in curve["count"]])
    chart = Chart("confidence (largest softmax probability)", "examples (%)", (), bars, x_range=(0.0, 1.0))
    return Panel("How confident it is", chart)


def _deformations(results: Mapping[str, Any]) -> Panel:
    title, accuracy = "Accuracy under deformations", results.get("deformation_accuracy_percent")
    if not accuracy:
        return Panel(title, "Deformations were not measured (--measures).")
    undeformed = 100 - results["test_error_percent"]
    rows = [Row(name, bar=value, text=f"{value:.2f} %") for name, value in accuracy.items()]
    chart = Rows("test accuracy (%)", rows, reference=undeformed, x_range=(0.0, 100.0))
    return Panel(title, chart, f"Dashed: {undeformed:.2f} % without a deformation.")


def _attacks(results: Mapping[str, Any]) -> Panel:
    title = "Accuracy under attacks"
    if not results.get("adversarial"):
        return Panel(title, "Attacks were not measured (--measures).")
    rows = []
    for attack in results["adversarial"]:
        bound = "no bound" if attack["epsilon"] is None else f"epsilon {255 * attack['epsilon']:.3g}/255"
        value = attack["accuracy_percent"]
        rows.append(Row(f"{attack['attack']}, {bound}", bar=value, text=f"{value:.2f} %"))
    return Panel(title, Rows("accuracy (%)", rows, x_range=(0.0, 100.0)))


def _spectra(results: Mapping[str, Any]) -> list[Panel]:
    """Values below a millionth of the largest are rounding errors of zero, and are not drawn."""
    if not results.get("spectra"):
        return [Panel("Singular values", "Singular values were not measured (--measures).")]
    panels = []
    for layer, of in results["spectra"].items():
        least = 1e-6 * max([0.0, *of["class_values"], *of["overall_values"]])
        lines = []
        for name, key in (("mean over classes", "class_values"), ("all images", "overall_values")):
            values = [value if value > least else None for value in of[key]]
            lines.append(Line(name, list(range(1, len(values) + 1)), values))
        chart = Chart("rank (1: largest)", "singular value", lines, y_log=True, whole_x=True)
        panels.append(Panel(f"Singular values at {layer}", chart, f"Of {of['examples']:,} images."))
    return panels
