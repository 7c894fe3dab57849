"""Table 7 and Appendix D: accuracy under FGSM, PGD, and the unbounded search, which must bring it to 0.

The paper does not give epsilon. Two are used here, in units of the range of pixels: 8/255 as in Madry et al. 2018,
whose numbers the paper quotes, and 2/255, about the larger of the two in the authors' released code.
Adversarial training is left to `mmgan train-classifier --adversarial pgd`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mmgan.experiments.classifiers.classifier_arms import ARMS, BASELINE, INPUT, MANIFOLD, paper_study, small_study
from mmgan.experiments.classifiers.evaluations import clean_accuracy, evaluate
from mmgan.experiments.framework.figures import arms_figure
from mmgan.experiments.framework.outcome import Finding, Outcome, Place
from mmgan.experiments.framework.studies import Collected, Comparison, Study, train
from mmgan.experiments.framework.verdicts import conclude, mean_sd

LEVELS = (2, 8)
"""The epsilons, in grey levels of 255."""

FGSM = {level: f"accuracy under FGSM {level}/255, %" for level in LEVELS}
PGD = {level: f"accuracy under PGD {level}/255, 7 steps, %" for level in LEVELS}
UNBOUNDED = "accuracy under 200 unbounded steps of 0.01, %"
ATTACKS = {  # label -> attack and epsilon, as in the results of `mmgan evaluate`
    **{label: ("fgsm", level / 255) for level, label in FGSM.items()},
    **{label: ("pgd", level / 255) for level, label in PGD.items()},
    UNBOUNDED: ("unbounded-pgd", None),
}

PAPER = {  # FGSM, %: none, input mixup, Manifold Mixup
    "CIFAR-10": (36.32, 71.51, 77.50),
    "CIFAR-100": (None, 40.7, 44.96),
    "SVHN": (21.49, 56.98, 65.91),
}


def run(place: Place) -> Outcome:
    """Train missing runs, attack all, compare accuracies seed by seed, draw them."""
    collected = Collected("adversarial", place.folder)
    for study, data in _studies(place):
        names = [BASELINE, MANIFOLD] if place.quick else [BASELINE, INPUT, MANIFOLD]
        limit, few = (20, 4) if place.quick else (2000, 200) if place.scale == "cpu" else (0, 1000)
        records = train(place, study, {name: ARMS[name] for name in names})
        epsilons = [level / 255 for level in LEVELS]
        results = evaluate(place, records, ["attacks"], limit, attack_examples=few, epsilons=epsilons)
        accuracy = {label: _accuracy(results, *attack) for label, attack in ATTACKS.items()}
        comparisons = _comparisons(data)[: 1 if place.quick else None]
        counts = {label: (limit or "all") if label in FGSM.values() else few for label in ATTACKS}
        clean = clean_accuracy(results)
        collected.add(study, records, comparisons, accuracy, test_images=counts, clean_accuracy_percent=clean)
        collected.outcome.findings.extend(
            _sanity(accuracy[UNBOUNDED][name], name, study.label) for name in names if name != BASELINE
        )
        shown = {label: accuracy[label] for label in FGSM.values()}
        arms_figure(shown, collected.figure(study.name), title=study.label)
    findings = [_no_gain(f) if "PGD" in f.what else f for f in collected.outcome.findings]
    return replace(collected.outcome, findings=findings)


def _accuracy(
    results: Mapping[str, Sequence[Mapping[str, Any]]], attack: str, epsilon: float | None
) -> dict[str, list[float]]:
    def of_run(result: Mapping[str, Any]) -> float:
        of_attack = {(tried["attack"], tried["epsilon"]): tried["accuracy_percent"] for tried in result["adversarial"]}
        return float(of_attack[attack, epsilon])

    return {name: [of_run(result) for result in of] for name, of in results.items()}


def _comparisons(data: str) -> list[Comparison]:
    none, mixed_input, manifold = PAPER[data]
    against = [(BASELINE, none), (INPUT, mixed_input)]
    comparisons = [
        Comparison(label, MANIFOLD, other, "higher", f"{manifold} against {theirs} (Table 7)")
        for label in FGSM.values()
        for other, theirs in against
        if theirs is not None
    ]
    no_gain = "'did not significantly improve' (Section 5.3)"
    return comparisons + [Comparison(label, MANIFOLD, BASELINE, "higher", no_gain) for label in PGD.values()]


def _no_gain(finding: Finding) -> Finding:
    """Here the paper claims no gain; only a significant gain contradicts it."""
    return replace(finding, verdict="disagrees" if finding.verdict == "agrees" else "agrees")


def _sanity(accuracy: Sequence[float], name: str, label: str) -> Finding:
    """Appendix D: an attack without a bound must win, or the gradient is masked; up to 5 % counts as 0."""
    said = "0 % (Appendix D)" if name == MANIFOLD else "1 % (Appendix D)"
    return conclude(f"{label}: {UNBOUNDED}, {name}", said, mean_sd(accuracy), len(accuracy), max(accuracy) <= 5)


def _studies(place: Place) -> list[tuple[Study, str]]:
    if place.scale == "cpu":
        return [(small_study(place), "CIFAR-10")]
    return [
        (paper_study("CIFAR-10, PreActResNet-18", "cifar10-preactresnet18"), "CIFAR-10"),
        (paper_study("CIFAR-100, PreActResNet-18", "cifar100-preactresnet18"), "CIFAR-100"),
        (paper_study("SVHN, Wide-ResNet-28-10 for the paper's WideResNet20-10", "svhn-wrn-28-10"), "SVHN"),
    ]
