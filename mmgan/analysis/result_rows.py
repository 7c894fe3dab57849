"""The results of an evaluation in words; apart from the measures, so that it can be read without torch."""

from collections.abc import Mapping
from typing import Any


def result_rows(results: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The results of `evaluate_classifier` as (measure, value with its unit, how it was measured)."""
    rows = [
        ("test error", f"{results['test_error_percent']:.2f} %", f"{results['examples']} images"),
        ("NLL", f"{results['nll']:.4f}", "nats"),
    ]
    if results["top5_error_percent"] is not None:
        rows.insert(1, ("top-5 error", f"{results['top5_error_percent']:.2f} %", ""))
    bins = len(results["reliability"]["count"])
    rows.append(("calibration error", f"{100 * results['expected_calibration_error']:.2f} %", f"{bins} equal bins"))
    if "knn" in results:
        knn = results["knn"]
        note = f"k = {knn['k']} at layer {knn['layer']}, {knn['bank']} training images"
        rows.append(("nearest neighbours' error", f"{knn['error_percent']:.2f} %", note))
    for name, accuracy in results.get("deformation_accuracy_percent", {}).items():
        rows.append((f"accuracy, {name}", f"{accuracy:.2f} %", results.get("interpolation", "")))
    for attack in results.get("adversarial", []):
        bound = "no bound" if attack["epsilon"] is None else f"epsilon {255 * attack['epsilon']:.3g}/255"
        note = f"{bound}, {attack['steps']} x {255 * attack['step_size']:.3g}/255, {attack['examples']} images"
        rows.append((f"accuracy, {attack['attack']}", f"{attack['accuracy_percent']:.2f} %", note))
    for layer, spectrum in results.get("spectra", {}).items():
        note = f"{spectrum['examples']} x {spectrum['width']}" + (", centred" if spectrum["centered"] else "")
        for scope in ("class", "overall"):
            for part, value in spectrum[scope].items():
                rows.append((f"singular values at {layer}, {scope}, {part}", f"{value:.2f}", note))
    return rows
