"""Section 5.1: Manifold Mixup against dropout, cutout and AdaMix, with the gradient blocked, and by nearest neighbours.

The paper chose each setting on a validation set. Here there is no search: dropout is 0.2 (in the residual branches),
and the cutout square has half the image's side.
"""

from mmgan.experiments.classifiers.classifier_arms import (
    ADAMIX,
    ARMS,
    BASELINE,
    BLOCKED,
    CUTOUT,
    DROPOUT,
    ERROR,
    INPUT,
    MANIFOLD,
    paper_study,
    small_study,
)
from mmgan.experiments.classifiers.evaluations import evaluate
from mmgan.experiments.framework.figures import arms_figure
from mmgan.experiments.framework.outcome import Outcome, Place
from mmgan.experiments.framework.studies import (
    Collected,
    Comparison,
    Study,
    arms_of,
    measure,
    train,
)
from mmgan.report.entries import TEST_ERROR, TEST_NLL

KNN = "5-NN error, %"
SECTION = "Section 5.1"

AGAINST_REGULARIZERS = [
    Comparison(ERROR, MANIFOLD, DROPOUT, "lower", f"3.77 ± 0.18 against 5.09 ± 0.09 ({SECTION}, PreActResNet-50)"),
    Comparison(ERROR, MANIFOLD, CUTOUT, "lower", f"3.77 ± 0.18 against 4.77 ± 0.38 ({SECTION}, PreActResNet-50)"),
    Comparison(ERROR, MANIFOLD, INPUT, "lower", f"3.77 ± 0.18 against 4.25 ± 0.11 ({SECTION}, PreActResNet-50)"),
    Comparison(ERROR, MANIFOLD, BASELINE, "lower", f"3.77 ± 0.18 against 4.96 ± 0.19 ({SECTION}, PreActResNet-50)"),
    Comparison(ERROR, DROPOUT, BASELINE, "higher", f"5.09 ± 0.09 against 4.96 ± 0.19 ({SECTION}, PreActResNet-50)"),
    Comparison(ERROR, CUTOUT, BASELINE, "lower", f"4.77 ± 0.38 against 4.96 ± 0.19 ({SECTION}, PreActResNet-50)"),
]
AGAINST_ADAMIX = [
    Comparison(ERROR, MANIFOLD, ADAMIX, "lower", "2.95 ± 0.046 against 3.52, cited from Guo et al. 2018, (Table 1a)"),
    Comparison(ERROR, ADAMIX, BASELINE, "lower", "3.52, cited from Guo et al. 2018, against 4.83 ± 0.066 (Table 1a)"),
    Comparison(ERROR, ADAMIX, INPUT, "lower", "3.52, cited from Guo et al. 2018, against 3.82 ± 0.048 (Table 1a)"),
]
GRADIENT_BLOCKED = [
    Comparison(ERROR, BLOCKED, MANIFOLD, "higher", f"4.33 against 2.95 ({SECTION}, Table 1a)"),
    Comparison(ERROR, BLOCKED, BASELINE, "lower", f"4.33 against 4.83 ({SECTION}, Table 1a)"),
]
NEIGHBOURS = [
    Comparison(KNN, MANIFOLD, BASELINE, "lower", f"5.16 against 6.09 ({SECTION})"),
    Comparison(KNN, MANIFOLD, INPUT, "lower", f"5.16 against 5.54 ({SECTION})"),
]


def run(place: Place) -> Outcome:
    """Train the arms, find their neighbours, compare them seed by seed, draw them."""
    collected = Collected("regularizers", place.folder)
    for study, comparisons in _studies(place):
        records = train(place, study, arms_of([*comparisons], ARMS))
        measured = measure(records, TEST_ERROR, TEST_NLL)
        if asked := arms_of([c for c in comparisons if c.measure == KNN], ARMS):
            limit, bank = (60, 100) if place.quick else (2000, 5000) if place.scale == "cpu" else (0, 0)
            results = evaluate(place, {name: records[name] for name in asked}, ["knn"], limit, bank=bank)
            measured[KNN] = {name: [r["knn"]["error_percent"] for r in of] for name, of in results.items()}
        collected.add(study, records, comparisons, measured)
        arms_figure(measured, collected.figure(study.name), title=study.label)
    return collected.outcome


def _studies(place: Place) -> list[tuple[Study, list[Comparison]]]:
    if place.quick:
        return [(small_study(place), [NEIGHBOURS[0]])]
    if place.scale == "cpu":
        return [(small_study(place), AGAINST_REGULARIZERS + AGAINST_ADAMIX + GRADIENT_BLOCKED + NEIGHBOURS)]
    fifty = paper_study("CIFAR-10, PreActResNet-50, 600 epochs", "cifar10-preactresnet50")
    eighteen = paper_study("CIFAR-10, PreActResNet-18", "cifar10-preactresnet18")
    return [(fifty, AGAINST_REGULARIZERS), (eighteen, AGAINST_ADAMIX + GRADIENT_BLOCKED + NEIGHBOURS)]
