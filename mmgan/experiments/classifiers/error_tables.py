"""Tables 1 to 3: test error and NLL by data set, network and regulariser.

At paper scale Table 1 and Table 2 whole (but for AdaMix, which the paper quotes), and of Table 3 the best alpha of each
regulariser. At cpu scale there is one small study.
"""

from mmgan.experiments.classifiers.classifier_arms import (
    ARMS,
    BASELINE,
    ERROR,
    INPUT,
    MANIFOLD,
    NLL,
    paper_study,
    small_study,
)
from mmgan.experiments.framework.figures import arms_figure
from mmgan.experiments.framework.outcome import Outcome, Place
from mmgan.experiments.framework.studies import (
    Collected,
    Comparison,
    Study,
    arm,
    arms_of,
    measure,
    test_error,
    test_nll,
    train,
)

Row = tuple[float, float, float, float]

PAPER: dict[str, tuple[str, str, str, Row, Row, Row]] = {  # config: (data, network, table; none, input, manifold)
    "cifar10-preactresnet18": (
        *("CIFAR-10", "PreActResNet-18", "Table 1a"),
        (4.83, 0.066, 0.190, 0.003),
        (3.82, 0.048, 0.186, 0.004),
        (2.95, 0.046, 0.137, 0.003),
    ),
    "cifar10-preactresnet34": (
        *("CIFAR-10", "PreActResNet-34", "Table 1a"),
        (4.64, 0.072, 0.200, 0.002),
        (2.88, 0.043, 0.176, 0.002),
        (2.54, 0.047, 0.118, 0.002),
    ),
    "cifar10-wrn-28-10": (
        *("CIFAR-10", "Wide-ResNet-28-10", "Table 1a"),
        (3.99, 0.118, 0.162, 0.004),
        (2.92, 0.088, 0.173, 0.001),
        (2.55, 0.024, 0.111, 0.001),
    ),
    "cifar100-preactresnet18": (
        *("CIFAR-100", "PreActResNet-18", "Table 1b"),
        (24.01, 0.376, 1.189, 0.002),
        (22.11, 0.424, 1.055, 0.006),
        (20.34, 0.525, 0.912, 0.002),
    ),
    "cifar100-preactresnet34": (
        *("CIFAR-100", "PreActResNet-34", "Table 1b"),
        (23.55, 0.399, 1.189, 0.002),
        (20.53, 0.330, 1.039, 0.045),
        (18.35, 0.360, 0.877, 0.053),
    ),
    "cifar100-wrn-28-10": (
        *("CIFAR-100", "Wide-ResNet-28-10", "Table 1b"),
        (21.72, 0.117, 1.023, 0.004),
        (18.89, 0.111, 0.927, 0.031),
        (18.04, 0.171, 0.809, 0.005),
    ),
    "svhn-preactresnet18": (
        *("SVHN", "PreActResNet-18", "Table 2"),
        (2.89, 0.224, 0.136, 0.001),
        (2.76, 0.014, 0.212, 0.011),
        (2.27, 0.011, 0.122, 0.006),
    ),
    "svhn-preactresnet34": (
        *("SVHN", "PreActResNet-34", "Table 2"),
        (2.97, 0.004, 0.165, 0.003),
        (2.67, 0.020, 0.199, 0.009),
        (2.18, 0.004, 0.137, 0.008),
    ),
    "svhn-wrn-28-10": (
        *("SVHN", "Wide-ResNet-28-10", "Table 2"),
        (2.80, 0.044, 0.143, 0.002),
        (2.68, 0.103, 0.184, 0.022),
        (2.06, 0.068, 0.126, 0.008),
    ),
}

TINY_IMAGENET = "tiny-imagenet-preactresnet18"
TINY_INPUT, TINY_MANIFOLD = arm("pixel", 0.2), arm("pixel,1,2", 0.2)
"""Table 3's best alpha of each; top-1 accuracy 55.52, 56.47 and 58.70 %."""


def run(place: Place) -> Outcome:
    """Train the arms, compare them seed by seed, draw them."""
    catalogue = {**ARMS, TINY_INPUT: {"mix": "pixel", "alpha": 0.2}, TINY_MANIFOLD: {"mix": "pixel,1,2", "alpha": 0.2}}
    collected = Collected("cifar", place.folder)
    for study, comparisons in _studies(place):
        chosen = comparisons[:2] if place.quick else comparisons
        records = train(place, study, arms_of(chosen, catalogue))
        measured = {ERROR: measure(records, test_error), NLL: measure(records, test_nll)}
        collected.add(study, records, chosen, measured)
        arms_figure(measured, collected.figure(study.name), title=study.label)
    return collected.outcome


def _studies(place: Place) -> list[tuple[Study, list[Comparison]]]:
    if place.scale == "cpu":
        _, _, _, none, mixed_input, manifold = PAPER["cifar10-preactresnet18"]
        return [(small_study(place), _comparisons("Table 1a", none, mixed_input, manifold))]
    published = [
        (paper_study(f"{data}, {network}", name), _comparisons(table, *rows))
        for name, (data, network, table, *rows) in PAPER.items()
    ]
    tiny = [
        Comparison(ERROR, TINY_MANIFOLD, BASELINE, "lower", "41.30 against 44.48 (Table 3)"),
        Comparison(ERROR, TINY_MANIFOLD, TINY_INPUT, "lower", "41.30 against 43.53 (Table 3)"),
    ]
    return [*published, (paper_study("Tiny-ImageNet, PreActResNet-18", TINY_IMAGENET), tiny)]


def _comparisons(table: str, none: Row, mixed_input: Row, manifold: Row) -> list[Comparison]:
    """Each pair of arms, in error and NLL; the claim is what the paper's own two numbers say."""
    rows = {BASELINE: none, INPUT: mixed_input, MANIFOLD: manifold}
    comparisons = []
    for measured, i, digits in ((ERROR, 0, 2), (NLL, 2, 3)):
        for name, against in ((MANIFOLD, BASELINE), (MANIFOLD, INPUT), (INPUT, BASELINE)):
            a, b = rows[name], rows[against]
            text = f"{a[i]:.{digits}f} ± {a[i + 1]:.3f} against {b[i]:.{digits}f} ± {b[i + 1]:.3f} ({table})"
            claim = "lower" if a[i] < b[i] else "higher"
            comparisons.append(Comparison(measured, name, against, claim, text, digits))  # type: ignore[arg-type]
    return comparisons
