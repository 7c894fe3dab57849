"""Figures 6 and 7: the training loss by mixing layer, and with the gradient blocked before it.

Figure 6: the loss is highest with the gradient blocked, then comes Input Mixup, and it is lowest for mixing in the
deepest layer. The paper plots binary cross-entropy; at cpu scale it is the cross-entropy against the mixed labels that
the runs of `layers` were trained with. All arms have alpha 2, so that their labels are equally soft.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from mmgan.analysis.png import save_png
from mmgan.experiments.classifiers.classifier_arms import ARMS, BLOCKED, MANIFOLD, paper_study, small_study
from mmgan.experiments.framework.figures import DOTS_PER_INCH
from mmgan.experiments.framework.outcome import Outcome, Place
from mmgan.experiments.framework.studies import Collected, Comparison, Study, arm, arms_of, train
from mmgan.report.record import Record

INPUT_2, FIRST, SECOND = arm("pixel", 2), arm("1", 2), arm("2", 2)
LOSS = "mean training loss of the last fifth of the epochs"

COMPARISONS = [
    Comparison(LOSS, SECOND, INPUT_2, "lower", "lower (Figure 6)", 3),
    Comparison(LOSS, SECOND, FIRST, "lower", "lower (Figure 6)", 3),
    Comparison(LOSS, BLOCKED, INPUT_2, "higher", "higher (Figure 6)", 3),
    Comparison(LOSS, BLOCKED, MANIFOLD, "higher", "higher (Figure 6)", 3),
]


def run(place: Place) -> Outcome:
    """Train missing runs, compare the final losses seed by seed, draw them by epoch."""
    collected = Collected("losses", place.folder)
    for study, comparisons in _studies(place):
        records = train(place, study, arms_of(comparisons, ARMS))
        curves = {name: [loss_by_epoch(record) for record in of] for name, of in records.items()}
        last = {name: [_end(curve) for curve in of] for name, of in curves.items()}
        collected.add(study, records, comparisons, {LOSS: last}, loss_by_epoch=curves)
        _draw(curves, collected.figure(study.name), study.label)
    return collected.outcome


def loss_by_epoch(record: Record) -> list[float]:
    """The mean training loss over the steps of each epoch."""
    of_epoch = defaultdict[int, list[float]](list)
    for row in record.metrics:
        of_epoch[row["epoch"]].append(row["loss"])
    return [sum(of) / len(of) for _, of in sorted(of_epoch.items())]


def _end(curve: Sequence[float]) -> float:
    last = curve[-max(1, len(curve) // 5) :]
    return sum(last) / len(last)


def _draw(curves: Mapping[str, Sequence[Sequence[float]]], path: Path, title: str) -> None:
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for arm_name, of in curves.items():
        means = [sum(epoch) / len(epoch) for epoch in zip(*of, strict=True)]
        axes.plot(range(1, len(means) + 1), means, marker="o" if len(means) < 10 else "", label=arm_name)
    axes.set(xlabel="epoch", ylabel="training loss (nats)", title=title)
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    save_png(figure, path, DOTS_PER_INCH)


def _studies(place: Place) -> list[tuple[Study, list[Comparison]]]:
    if place.quick:
        return [(small_study(place), COMPARISONS[:1])]
    if place.scale == "cpu":
        return [(small_study(place), COMPARISONS)]
    return [
        (_bce(paper_study("CIFAR-10, PreActResNet-18", "cifar10-preactresnet18", loss="bce")), COMPARISONS),
        (_bce(paper_study("CIFAR-100, PreActResNet-50", "cifar100-preactresnet50", loss="bce")), COMPARISONS[:2]),
    ]


def _bce(study: Study) -> Study:
    """The study under its own name: other experiments train this configuration with another loss."""
    return replace(study, name=f"{study.name}-bce")
