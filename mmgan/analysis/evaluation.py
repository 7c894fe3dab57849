"""Every measure of the paper for one classifier, as a JSON-able dictionary."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Literal, get_args

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from mmgan.analysis.accuracy import error_percent, nll, top_k_error_percent
from mmgan.analysis.adversarial import Predict, check_distance, pgd, unbounded_pgd
from mmgan.analysis.calibration import reliability_curve
from mmgan.analysis.deformations import TABLE_9, Deformation, deform
from mmgan.analysis.input_checks import check_images, check_labels
from mmgan.analysis.knn import knn_error_percent
from mmgan.analysis.result_rows import result_rows
from mmgan.analysis.spectra import average_spectrum, average_summary, class_singular_values, singular_values, summarize
from mmgan.data.pixels import to_float
from mmgan.draws import numpy_stream
from mmgan.errors import UserError
from mmgan.modes import evaluation_mode

Change = Callable[[Tensor, Tensor, int], Tensor]  # images, labels and the index of the first -> images

Measure = Literal["knn", "deformations", "attacks", "spectra"]

MEASURES: tuple[Measure, ...] = get_args(Measure)
"""Optional measures; error, NLL and calibration cost one pass and are always measured."""


def evaluate_classifier(
    predict: Predict,
    images: Shaped[Tensor, "n c h w"],
    labels: Int[Tensor, " n"],
    *,
    measures: Collection[Measure] = MEASURES,
    features: Mapping[str, Predict] | None = None,
    bank: tuple[Shaped[Tensor, "m c h w"], Int[Tensor, " m"]] | None = None,
    knn_layer: str | None = None,
    k: int = 5,
    bins: int = 15,
    epsilons: tuple[float, ...] = (8 / 255,),
    attack_examples: int = 500,
    deformations: Mapping[str, Deformation] = TABLE_9,
    interpolation: Literal["bilinear", "nearest"] = "bilinear",
    spectrum_examples: int = 2000,
    center: bool = False,
    batch_size: int = 250,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure one classifier on one test set, in one process and in batches.

    Test error, top-5 error and NLL (Tables 1 to 3), calibration, k nearest neighbours (Section 5.1), deformations
    (Table 9), FGSM on all images (Table 7), PGD and the unbounded check (Appendix D) on `attack_examples` of them, and
    singular values (Section 3.2, Appendix G). The attacks cost most: over 200 forwards and backwards for each of
    `attack_examples`.

    Args:
        predict: classifier, images (N, C, H, W) in [-1, 1] -> logits, that gradients flow through. A module is run in
            evaluation mode and restored; any other callable has to be in that mode.
        images: the test set, uint8 or float in [-1, 1], on the device of `predict`.
        labels: their classes, on the same device.
        measures: which of `MEASURES`; the results hold only these.
        features: by layer's name, images -> representations (N, ...), for the singular values; see `activations`.
        bank: training images and labels for the nearest neighbours.
        knn_layer: the layer in `features` for the neighbours; without this and `bank` they are not measured.
        k: number of neighbours.
        bins: bins of the reliability curve.
        epsilons: radii of FGSM and PGD (7 steps of a quarter of it), in pixel units of [0, 1].
        attack_examples: number of images for the attacks of many steps, drawn by seed.
        deformations: by name; `TABLE_9` are all of the paper's.
        interpolation: of the deformations, "bilinear" or "nearest".
        spectrum_examples: number of images for the singular values, drawn by seed.
        center: see `mmgan.analysis.spectra`.
        batch_size: images at a time. No result depends on it but for rounding.
        seed: of the draws.

    Returns:
        Results by measure, all of them numbers, strings, None, lists or dictionaries; `format_table` shows them.

    Raises:
        UserError: for a `bank` without a `knn_layer` or the reverse, a layer not in `features`, or what a measure
            refuses.
    """
    features = features or {}
    if (bank is None) != (knn_layer is None):
        raise UserError("nearest neighbours need both a bank and a knn_layer: give both, or neither")
    if knn_layer is not None and knn_layer not in features:
        raise UserError(
            f"knn_layer '{knn_layer}' is not among the features: choose from {', '.join(features) or 'none'}"
        )
    if min(batch_size, attack_examples, spectrum_examples) < 1:
        raise UserError("batch_size, attack_examples and spectrum_examples must be 1 or more")
    check_labels(labels, len(images))
    for epsilon in epsilons:
        check_distance("epsilon", epsilon)  # not only after minutes of other measures

    logits = _run(predict, images, batch_size)
    n, classes = logits.shape
    curve = reliability_curve(logits, labels, bins)
    results: dict[str, Any] = {
        "examples": n,
        "classes": classes,
        "seed": seed,
        "test_error_percent": error_percent(logits, labels),
        "top5_error_percent": top_k_error_percent(logits, labels, k=5) if classes > 5 else None,
        "nll": nll(logits, labels),
        "expected_calibration_error": curve.expected_calibration_error,
        "reliability": {name: list(values) for name, values in asdict(curve).items()},
    }

    if "knn" in measures and bank is not None and knn_layer is not None:
        knn = _knn(features[knn_layer], bank, (images, labels), k, batch_size)
        results["knn"] = {"layer": knn_layer} | knn

    if "deformations" in measures:
        results["interpolation"] = interpolation
        results["deformation_accuracy_percent"] = {
            name: _accuracy(predict, images, labels, batch_size, _deformed(deformation, seed, interpolation))
            for name, deformation in deformations.items()
        }
    if "attacks" in measures:
        chosen = _choose(n, attack_examples, seed, "attacked examples").to(labels.device)
        few = images[chosen.to(images.device)], labels[chosen]
        results["adversarial"] = [
            attack | {"examples": len(y), "accuracy_percent": _accuracy(predict, x, y, batch_size, change)}
            for attack, (x, y), change in _attacks(predict, epsilons, everything=(images, labels), few=few)
        ]
    if "spectra" in measures:
        chosen = _choose(n, spectrum_examples, seed, "decomposed examples").to(labels.device)
        x, y = images[chosen.to(images.device)], labels[chosen].cpu()
        results["spectra"] = {
            layer: _spectra(_run(of, x, batch_size).flatten(1).cpu(), y, center) for layer, of in features.items()
        }
    return results


def _batches(images: Tensor, batch_size: int) -> Iterator[Tensor]:
    for batch in torch.split(images, batch_size):
        yield to_float(batch) if batch.dtype == torch.uint8 else batch


def _run(predict: Predict, images: Tensor, batch_size: int) -> Tensor:
    with evaluation_mode(predict), torch.no_grad():
        outputs = []
        for x in _batches(images, batch_size):
            check_images(x)
            outputs.append(predict(x))
        return torch.cat(outputs)  # (n, ...)


def _accuracy(predict: Predict, images: Tensor, labels: Tensor, batch_size: int, change: Change) -> float:
    """Test accuracy in percent on images that were changed, a batch at a time."""
    logits, first = [], 0
    for x in _batches(images, batch_size):
        changed = change(x, labels[first : first + len(x)], first)
        logits.append(_run(predict, changed, batch_size))
        first += len(x)
    return 100.0 - error_percent(torch.cat(logits), labels)


def _deformed(deformation: Deformation, seed: int, interpolation: Literal["bilinear", "nearest"]) -> Change:
    return lambda x, _, first: deform(x, deformation, seed=seed, first=first, interpolation=interpolation)


def _attacks(
    predict: Predict, epsilons: tuple[float, ...], everything: tuple[Tensor, Tensor], few: tuple[Tensor, Tensor]
) -> Iterator[tuple[dict[str, Any], tuple[Tensor, Tensor], Change]]:
    """The settings of each attack, its images and labels, and the attack."""

    def one(name: str, attack: Callable[..., Tensor], **settings: float) -> tuple[dict[str, Any], Change]:
        return {"attack": name, "epsilon": None} | settings, lambda x, y, _: attack(predict, x, y, **settings)

    for epsilon in epsilons:
        about, change = one("fgsm", pgd, epsilon=epsilon, step_size=epsilon, steps=1)
        yield about, everything, change
    for epsilon in epsilons:
        about, change = one("pgd", pgd, epsilon=epsilon, step_size=epsilon / 4, steps=7)
        yield about, few, change
    about, change = one("unbounded-pgd", unbounded_pgd, step_size=0.01, steps=200)
    yield about, few, change


def _choose(n: int, count: int, seed: int, purpose: str) -> Tensor:
    """Indices of at most `count` of n images, in order: a test set may be sorted by class, so not the first ones."""
    chosen = numpy_stream(seed, purpose).permutation(n)[:count]
    return torch.from_numpy(chosen).sort().values


def _knn(
    features: Predict, bank: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], k: int, batch_size: int
) -> dict[str, Any]:
    bank_features, test_features = (_run(features, x, batch_size).flatten(1) for x, _ in (bank, test))
    bank_labels, test_labels = (y.to(test_features.device) for _, y in (bank, test))
    error = knn_error_percent(bank_features, bank_labels, test_features, test_labels, k=k)
    return {"k": k, "bank": len(bank_labels), "error_percent": error}


def _spectra(h: Tensor, labels: Tensor, center: bool) -> dict[str, Any]:
    by_class, overall = class_singular_values(h, labels, center=center), singular_values(h, center=center)
    return {
        "examples": len(h),
        "width": h.shape[1],
        "centered": center,
        "class": asdict(average_summary(by_class)),
        "overall": asdict(summarize(overall)),
        "class_values": average_spectrum(by_class).tolist(),
        "overall_values": overall.tolist(),
    }


def format_table(results: Mapping[str, Any]) -> str:
    """The results of `evaluate_classifier` as lines for a terminal: measure, value, and how it was measured."""
    rows = result_rows(results)
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"{name:<{widths[0]}}  {value:>{widths[1]}}  {note}".rstrip() for name, value, note in rows]
    return "\n".join(lines)
