"""Table 5: test accuracy by the set S of eligible layers, alpha 2."""

from typing import Any

from scipy import stats

from mmgan.experiments.classifiers.classifier_arms import (
    ARMS,
    BASELINE,
    ERROR,
    MANIFOLD,
    long_study,
    small_study,
)
from mmgan.experiments.framework.figures import Values, arms_figure
from mmgan.experiments.framework.outcome import Finding, Outcome, Place, Verdict
from mmgan.experiments.framework.studies import (
    Collected,
    Comparison,
    Study,
    arm,
    arms_of,
    measure,
    train,
)
from mmgan.report.entries import TEST_ERROR

ACCURACY = {  # arm -> CIFAR-10, CIFAR-100
    MANIFOLD: (97.23, 79.60),
    arm("pixel,1", 2): (96.94, 78.93),
    arm("pixel,1,2,3", 2): (96.92, 80.18),
    arm("1,2", 2): (96.35, 78.69),
    arm("pixel", 2): (96.73, 78.15),
    arm("1,2,3", 2): (96.51, 79.31),
    arm("1", 2): (96.10, 78.72),
    arm("2,3", 2): (95.32, 76.46),
    arm("2", 2): (95.19, 76.50),
    BASELINE: (95.27, 76.40),
}
"""The paper's, in percent."""


def run(place: Place) -> Outcome:
    """Train an arm for each set; compare each set with no mixing, and the order of the sets with the paper's."""
    collected = Collected("layers", place.folder)
    for study, column, table in _studies(place):
        names = list(ACCURACY)[: 1 if place.quick else None]
        comparisons = [_comparison(name, column, table) for name in names if name != BASELINE]
        records = train(place, study, arms_of(comparisons, ARMS))
        measured = measure(records, TEST_ERROR)
        collected.add(study, records, comparisons, measured)
        if len(comparisons) > 2:
            collected.outcome.findings.append(_order(measured[ERROR], column, study.label))
        arms_figure(measured, collected.figure(study.name), title=f"{study.label}, by eligible layers")
    return collected.outcome


def _studies(place: Place) -> list[tuple[Study, int, str]]:
    if place.scale == "cpu":
        return [(small_study(place), 0, "Table 5, CIFAR-10")]
    ten = long_study("CIFAR-10, PreActResNet-18", "cifar10-preactresnet18")
    hundred = long_study("CIFAR-100, PreActResNet-18", "cifar100-preactresnet18")
    return [(ten, 0, "Table 5, CIFAR-10"), (hundred, 1, "Table 5, CIFAR-100")]


def _comparison(name: str, column: int, table: str) -> Comparison:
    ours, none = (100 - ACCURACY[which][column] for which in (name, BASELINE))
    text = f"{ours:.2f} against {none:.2f} ({table})"
    return Comparison(ERROR, name, BASELINE, "lower" if ours < none else "higher", text)


def _order(errors: Values, column: int, label: str) -> Finding:
    """Whether the same sets do well here as in the paper: Spearman's rank correlation of the mean errors."""
    names = list(ACCURACY)
    here = [sum(errors[name]) / len(errors[name]) for name in names]
    there = [100 - ACCURACY[name][column] for name in names]
    test: Any = stats.spearmanr(here, there)
    verdict: Verdict = "undecided"
    if test.pvalue < 0.05:
        verdict = "agrees" if test.statistic > 0 else "disagrees"
    what = f"{label}: rank correlation of the ten sets' errors with the paper's"
    return Finding(what, "1", f"{test.statistic:.2f} (p = {test.pvalue:.3f})", len(names), "", verdict)
