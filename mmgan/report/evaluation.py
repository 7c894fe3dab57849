"""What `mmgan evaluate` wrote of a classifier."""

from collections.abc import Mapping
from typing import Any

from mmgan.errors import UserError
from mmgan.runs.folder import RunFolder
from mmgan.runs.structure import Shape, fault_in, list_of, map_of, number, read_json, some, text, truth, whole

SPECTRUM = {
    **{"examples": whole, "width": whole, "centered": truth},
    **{"class": map_of(number), "overall": map_of(number)},
    **{"class_values": list_of(number), "overall_values": list_of(number)},
}
ATTACK = {
    **{"attack": text, "epsilon": some(number), "step_size": number, "steps": whole},
    **{"examples": whole, "accuracy_percent": number},
}
RELIABILITY = {
    **{"edges": list_of(number), "count": list_of(whole)},
    **{"confidence": list_of(some(number)), "accuracy": list_of(some(number))},
}
SHAPE: Shape = {
    **{"checkpoint": text, "epoch": whole, "changed": list_of(text), "data": {"name": text, "split": text}},
    **{"examples": whole, "test_error_percent": number, "top5_error_percent": some(number), "nll": number},
    **{"expected_calibration_error": number, "reliability": RELIABILITY, "interpolation?": text},
    **{"knn?": {"layer": text, "k": whole, "bank": whole, "error_percent": number}},
    **{"deformation_accuracy_percent?": map_of(number), "adversarial?": list_of(ATTACK), "spectra?": map_of(SPECTRUM)},
}


def read_evaluation(folder: RunFolder) -> Mapping[str, Any] | None:
    """The content of evaluation.json; None if there is no such file.

    Raises:
        UserError: if it is damaged.
    """
    path = folder.evaluation_file
    if not path.is_file():
        return None
    try:
        values = read_json(path.read_bytes())
        place = fault_in(values, SHAPE)
        fault = None if place is None else f"'{place}' is missing or not what it should be"
    except (OSError, ValueError) as error:
        fault = " ".join(str(error).split())
    if fault is None and not _bins_agree(values["reliability"]):
        fault = "'reliability' does not have one value a bin"
    if fault is not None:
        raise UserError(f"{path} is damaged ({fault}): remove it, or evaluate the run again")
    evaluation: Mapping[str, Any] = values
    return evaluation


def _bins_agree(reliability: Mapping[str, Any]) -> bool:
    bins = len(reliability["edges"]) - 1
    return bins > 0 and all(len(reliability[name]) == bins for name in ("count", "confidence", "accuracy"))
