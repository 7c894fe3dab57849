"""Tables 1 to 3: test error and NLL by data set, network and regulariser.

At paper scale: all of Tables 1 and 2, and the best alpha of each regulariser in Table 3. At cpu scale: one small study.
AdaMix is trained where the paper has a number of it, which it cites.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from mmgan.experiments.classifiers.classifier_arms import (
    ADAMIX,
    ARMS,
    BASELINE,
    ERROR,
    INPUT,
    MANIFOLD,
    NLL,
    paper_study,
    small_study,
)
from mmgan.experiments.framework.figures import Values, arms_figure
from mmgan.experiments.framework.outcome import Outcome, Place
from mmgan.experiments.framework.studies import (
    Collected,
    Comparison,
    Study,
    arm,
    arms_of,
    measure,
    train,
)
from mmgan.experiments.framework.verdicts import Direction, compare_arms, mean_sd
from mmgan.report.entries import TEST_ERROR, TEST_NLL
from mmgan.report.record import Record

DATA = {"cifar10": ("CIFAR-10", "Table 1a"), "cifar100": ("CIFAR-100", "Table 1b"), "svhn": ("SVHN", "Table 2")}
NETWORKS = {
    "preactresnet18": "PreActResNet-18",
    "preactresnet34": "PreActResNet-34",
    "wrn-28-10": "Wide-ResNet-28-10",
}
PAPER = {  # measure -> config: mean and deviation of none, input mixup, Manifold Mixup
    ERROR: {
        "cifar10-preactresnet18": ((4.83, 0.066), (3.82, 0.048), (2.95, 0.046)),
        "cifar10-preactresnet34": ((4.64, 0.072), (2.88, 0.043), (2.54, 0.047)),
        "cifar10-wrn-28-10": ((3.99, 0.118), (2.92, 0.088), (2.55, 0.024)),
        "cifar100-preactresnet18": ((24.01, 0.376), (22.11, 0.424), (20.34, 0.525)),
        "cifar100-preactresnet34": ((23.55, 0.399), (20.53, 0.330), (18.35, 0.360)),
        "cifar100-wrn-28-10": ((21.72, 0.117), (18.89, 0.111), (18.04, 0.171)),
        "svhn-preactresnet18": ((2.89, 0.224), (2.76, 0.014), (2.27, 0.011)),
        "svhn-preactresnet34": ((2.97, 0.004), (2.67, 0.020), (2.18, 0.004)),
        "svhn-wrn-28-10": ((2.80, 0.044), (2.68, 0.103), (2.06, 0.068)),
    },
    NLL: {
        "cifar10-preactresnet18": ((0.190, 0.003), (0.186, 0.004), (0.137, 0.003)),
        "cifar10-preactresnet34": ((0.200, 0.002), (0.176, 0.002), (0.118, 0.002)),
        "cifar10-wrn-28-10": ((0.162, 0.004), (0.173, 0.001), (0.111, 0.001)),
        "cifar100-preactresnet18": ((1.189, 0.002), (1.055, 0.006), (0.912, 0.002)),
        "cifar100-preactresnet34": ((1.189, 0.002), (1.039, 0.045), (0.877, 0.053)),
        "cifar100-wrn-28-10": ((1.023, 0.004), (0.927, 0.031), (0.809, 0.005)),
        "svhn-preactresnet18": ((0.136, 0.001), (0.212, 0.011), (0.122, 0.006)),
        "svhn-preactresnet34": ((0.165, 0.003), (0.199, 0.009), (0.137, 0.008)),
        "svhn-wrn-28-10": ((0.143, 0.002), (0.184, 0.022), (0.126, 0.008)),
    },
}

CITED = {"cifar10-preactresnet18": 3.52, "cifar100-preactresnet18": 20.97}
"""AdaMix's test error in Table 1, in percent, which the paper cites from Guo et al. 2018, without a deviation and with
NA for its NLL."""

MIXED_REAL = "probability of a mixed image to be real, by the intrusion discriminator"

TINY_IMAGENET = "tiny-imagenet-preactresnet18"
TINY_INPUT, TINY_MANIFOLD = arm("pixel", 0.2), arm("pixel,1,2", 0.2)
"""Table 3's best alpha of each; top-1 accuracy 55.52, 56.47 and 58.70 %."""


def run(place: Place) -> Outcome:
    """Train the arms, compare them seed by seed, draw them."""
    catalogue = {**ARMS, TINY_INPUT: {"mix": "pixel", "alpha": 0.2}, TINY_MANIFOLD: {"mix": "pixel,1,2", "alpha": 0.2}}
    collected = Collected("cifar", place.folder)
    for study, comparisons in _studies(place):
        chosen = [c for c in comparisons if c.arm == ADAMIX] if place.quick else comparisons
        records = train(place, study, arms_of(chosen, catalogue))
        measured = measure(records, TEST_ERROR, TEST_NLL)
        collected.add(study, records, chosen, measured)
        if ADAMIX in records:
            _add_adamix(collected, study, records[ADAMIX], measured)
        arms_figure(measured, collected.figure(study.name), title=study.label)
    return collected.outcome


def _studies(place: Place) -> list[tuple[Study, list[Comparison]]]:
    if place.scale == "cpu":
        return [(small_study(place), _comparisons("cifar10-preactresnet18", "Table 1a"))]
    published = []
    for name in PAPER[ERROR]:
        data, _, network = name.partition("-")
        label, table = DATA[data]
        published.append((paper_study(f"{label}, {NETWORKS[network]}", name), _comparisons(name, table)))
    tiny = [
        Comparison(ERROR, TINY_MANIFOLD, BASELINE, "lower", "41.30 against 44.48 (Table 3)"),
        Comparison(ERROR, TINY_MANIFOLD, TINY_INPUT, "lower", "41.30 against 43.53 (Table 3)"),
    ]
    return [*published, (paper_study("Tiny-ImageNet, PreActResNet-18", TINY_IMAGENET), tiny)]


def _comparisons(config: str, table: str) -> list[Comparison]:
    """Each pair of arms, in error and NLL; the paper's own two numbers say which is lower."""
    comparisons = []
    for measured, digits in ((ERROR, 2), (NLL, 3)):
        rows = dict(zip((BASELINE, INPUT, MANIFOLD), PAPER[measured][config], strict=True))
        for name, against in ((MANIFOLD, BASELINE), (MANIFOLD, INPUT), (INPUT, BASELINE)):
            (ours, sd), (theirs, their_sd) = rows[name], rows[against]
            text = f"{ours:.{digits}f} ± {sd:.3f} against {theirs:.{digits}f} ± {their_sd:.3f} ({table})"
            claim: Direction = "lower" if ours < theirs else "higher"
            comparisons.append(Comparison(measured, name, against, claim, text, digits))
    if config in CITED:
        for name, against in ((ADAMIX, BASELINE), (ADAMIX, INPUT), (MANIFOLD, ADAMIX)):
            texts = [_error(config, one) for one in (name, against)]
            comparisons.append(Comparison(ERROR, name, against, "lower", f"{' against '.join(texts)} ({table})"))
    return comparisons


def _error(config: str, name: str) -> str:
    if name == ADAMIX:
        return f"{CITED[config]:.2f}, cited from Guo et al. 2018,"
    mean, sd = dict(zip((BASELINE, INPUT, MANIFOLD), PAPER[ERROR][config], strict=True))[name]
    return f"{mean:.2f} ± {sd:.3f}"


def _add_adamix(collected: Collected, study: Study, records: Sequence[Record], measured: Mapping[str, Values]) -> None:
    """AdaMix's NLL, of which the paper has no number; its intervals, and whether its mixes intrude less than uniform
    ones of the same pairs do."""
    outcome, learned = collected.outcome, [record.judged["adamix"] for record in records]
    for against in (BASELINE, INPUT, MANIFOLD):
        if against in measured[NLL]:
            what, of = f"{study.label}: {NLL}, {ADAMIX} against {against}", measured[NLL]
            finding = compare_arms(what, "NA (Table 1)", of[ADAMIX], of[against], "lower", 3)
            outcome.findings.append(replace(finding, verdict="no number to compare with"))
    judged = {name: [run["judged_real"][name] for run in learned] for name in ("real", "adamix", "uniform")}
    what = f"{study.label}: {MIXED_REAL}, {ADAMIX}'s mixes against uniform ones"
    claim = "intrusions are avoided (Guo et al. 2018)"
    outcome.findings.append(compare_arms(what, claim, judged["adamix"], judged["uniform"], "lower", 3))
    a, d = ([run[name] for run in learned] for name in ("policy_a", "policy_d"))
    outcome.values[study.name]["adamix"] = learned
    outcome.notes.append(
        f"{study.label}: AdaMix draws lam from [a, a + d] with a = {mean_sd(a, 3)} and d = {mean_sd(d, 3)} on the"
        f" validation images after the last epoch.{_spread(learned)} The discriminator calls unmixed images real with"
        f" probability {mean_sd(judged['real'], 3)}. Uniform mixes have lam ~ U(0, 1), input mixup's law with"
        " alpha 1."
    )


def _spread(learned: Sequence[Mapping[str, Any]]) -> str:
    """How much the intervals differ by the pair of classes."""
    tables = [run["by_pair"] for run in learned if "by_pair" in run]
    if not tables:
        return ""
    ranges = {}
    for name in ("a", "d"):
        cells = [[value for line in table[name] for value in line if value is not None] for table in tables]
        ranges[name] = fmean(max(of) - min(of) for of in cells)
    return (
        f" Between the means of pairs of classes, a differs by {ranges['a']:.4f} at most and d by {ranges['d']:.4f}"
        " (mean over seeds)."
    )
