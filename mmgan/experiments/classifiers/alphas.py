"""Table 6: test accuracy by alpha, Input Mixup and Manifold Mixup."""

from statistics import fmean

from mmgan.experiments.classifiers.classifier_arms import (
    ALPHAS,
    ARMS,
    BASELINE,
    ERROR,
    long_study,
    small_study,
)
from mmgan.experiments.framework.figures import lines_figure
from mmgan.experiments.framework.outcome import Outcome, Place
from mmgan.experiments.framework.studies import (
    Collected,
    Comparison,
    Study,
    arm,
    measure,
    train,
)
from mmgan.report.entries import TEST_ERROR

LAYERS = {"Input Mixup": "pixel", "Manifold Mixup": "pixel,1,2"}
ACCURACY = {  # alpha: Input Mixup, Manifold Mixup; CIFAR-10, PreActResNet-18, 2000 epochs
    0.5: (96.68, 96.76),
    1.0: (96.75, 97.00),
    1.2: (96.72, 97.03),
    1.5: (96.84, 97.10),
    1.8: (96.80, 97.15),
    2.0: (96.73, 97.23),
}
"""The paper's, in percent."""


def run(place: Place) -> Outcome:
    """Train both at every alpha, compare them at each, draw both lines."""
    study, alphas = _study(place)
    names = [BASELINE, *(arm(layers, alpha) for alpha in alphas for layers in LAYERS.values())]
    records = train(place, study, {name: ARMS[name] for name in names})
    measured = measure(records, TEST_ERROR)
    comparisons = []
    for alpha in alphas:
        mixed_input, manifold = (100 - accuracy for accuracy in ACCURACY[alpha])
        text = f"{manifold:.2f} against {mixed_input:.2f} (Table 6)"
        comparisons.append(Comparison(ERROR, arm("pixel,1,2", alpha), arm("pixel", alpha), "lower", text))
    lines = {
        label: {alpha: measured[ERROR][arm(layers, alpha)] for alpha in alphas} for label, layers in LAYERS.items()
    }
    dotted = {ERROR: fmean(measured[ERROR][BASELINE])}
    collected = Collected("alpha", place.folder)
    collected.add(study, records, comparisons, measured)
    lines_figure({ERROR: lines}, collected.figure(), "alpha of Beta(alpha, alpha)", dotted, study.label)
    return collected.outcome


def _study(place: Place) -> tuple[Study, tuple[float, ...]]:
    if place.quick:
        return small_study(place), (2.0,)
    if place.scale == "cpu":
        return small_study(place), (0.5, 1.0, 2.0)
    return long_study("CIFAR-10, PreActResNet-18", "cifar10-preactresnet18"), ALPHAS
