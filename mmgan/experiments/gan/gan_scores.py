"""Appendix E and Figure 8: Inception score and FID by alpha, for each set of layers, against the baseline.

The settings at cpu scale are the best for the baseline: of the learning rates 1e-3, 2e-3 and 4e-3, on three
seeds that are not used here, 2e-3 gave the lowest FID without mixing (docs/reproduction/gan.md). Fashion-MNIST has 16
seeds: enough for an effect as large as the paper's, by the deviation of the first five. Digits would need 73.
"""

import statistics
from collections.abc import Sequence

from mmgan.analysis.power import pairs_needed
from mmgan.experiments.framework.figures import arms_figure, lines_figure
from mmgan.experiments.framework.outcome import Outcome, Place
from mmgan.experiments.framework.studies import Collected, Comparison, Study, arm, measure, train
from mmgan.experiments.framework.verdicts import Direction, mean_sd
from mmgan.report.entries import FID, IS, extractor_text

LAYERS = {"pixel": "pixel", "h1": "1", "h1,2": "1,2", "1,2,pixel": "1,2,pixel"}
"""Figure 8's sets of layers by its names for them."""

ALPHAS = (0.2, 0.5, 1.0)
"""Figure 8 does not list its alphas; 0.5 is the best there."""

BASELINE = arm("none")

PAPER = {  # Appendix E at alpha 0.5, CIFAR-10, standard Inception; mean and deviation over at least three runs
    BASELINE: {IS: "7.97 ± .07", FID: "21.9 ± .62"},
    arm("pixel", 0.5): {IS: "8.03 ± .08", FID: "21.4 ± .56"},
    arm("1,2,pixel", 0.5): {IS: "8.04 ± .08", FID: "21.2 ± .47"},
}
RELATIVE_EFFECT = {IS: 0.07 / 7.97, FID: 0.7 / 21.9}
"""The paper's gap between 1,2,pixel and the baseline, as a share of the baseline's score."""


def run(place: Place) -> Outcome:
    """Train every arm on every seed, compare each with the baseline seed by seed, draw both scores by alpha."""
    collected = Collected("gan", place.folder)
    for study, layers, alphas in _studies(place):
        arms = {BASELINE: {"mix": "none"}} | {
            arm(of, alpha): {"mix": of, "alpha": alpha} for alpha in alphas for of in layers.values()
        }
        records = train(place, study, arms)
        measured = measure(records, IS, FID)
        extractor = extractor_text(records[BASELINE][0].judged)
        collected.outcome.notes.append(f"{study.label}: extractor {extractor}.")
        settings = {name: value for name, value in study.settings.items() if name != "data_root"}
        comparisons = _comparisons(layers, alphas)
        collected.add(study, records, comparisons, measured, settings=settings, extractor=extractor)
        collected.outcome.notes.extend(_power(measured, study.label))
        path = collected.figure(study.name.removeprefix("gan-"))
        panels = {f"{name} ({extractor.split(',')[0]})": by_arm for name, by_arm in measured.items()}
        if len(alphas) > 1:
            lines = {
                name: {label: {alpha: by_arm[arm(of, alpha)] for alpha in alphas} for label, of in layers.items()}
                for name, by_arm in panels.items()
            }
            dotted = {name: statistics.fmean(by_arm[BASELINE]) for name, by_arm in panels.items()}
            lines_figure(lines, path, "alpha of Uniform(0, alpha)", dotted, study.label)
        else:
            arms_figure(panels, path, study.label)
    return collected.outcome


def _studies(place: Place) -> list[tuple[Study, dict[str, str], Sequence[float]]]:
    if place.scale == "paper":
        study = Study("CIFAR-10", "gan-cifar10", "configs/gan/cifar10.yaml", {}, (0, 1, 2, 3, 4), "gan")
        return [(study, LAYERS, ALPHAS)]
    rarely = {"sample_every": 0, "checkpoint_every": 0}
    if place.quick:
        settings = {"steps": 6, "d_width": 4, "g_width": 4, "score_samples": 100, "is_splits": 2, "score_every": 6}
        study = Study("digits, 6 steps", "gan-digits", "configs/gan/digits.yaml", settings | rarely, (0, 1), "gan")
        return [(study, {"1,2,pixel": "1,2,pixel"}, (0.5,))]
    digits = Study(
        label="digits",
        name="gan-digits",
        config="configs/gan/digits.yaml",
        settings={"steps": 600, "score_samples": 5000, "score_every": 600} | rarely,
        seeds=(0, 1, 2, 3, 4),
        trainer="gan",
    )
    fashion = Study(
        label="Fashion-MNIST",
        name="gan-fashion",
        config="configs/gan/fashion-mnist.yaml",
        settings={"data_root": place.data_root, "steps": 300, "score_samples": 5000, "score_every": 300} | rarely,
        seeds=tuple(range(16)),
        trainer="gan",
    )
    return [(digits, LAYERS, ALPHAS), (fashion, {name: LAYERS[name] for name in ("pixel", "1,2,pixel")}, (0.5,))]


def _comparisons(layers: dict[str, str], alphas: Sequence[float]) -> list[Comparison]:
    """Every arm against the baseline, alpha 0.5 first.

    The paper prints numbers for two arms, and claims for all scores that mixing is a useful regulariser.
    """
    comparisons = []
    for alpha in sorted(alphas, key=lambda alpha: alpha != 0.5):
        for of in layers.values():
            name = arm(of, alpha)
            for metric in (IS, FID):
                printed = PAPER.get(name)
                text = f"{printed[metric]} against {PAPER[BASELINE][metric]}" if printed else "Figure 8, no number"
                claim: Direction = "lower" if metric == FID else "higher"
                comparisons.append(Comparison(metric.name, name, BASELINE, claim, text, 3))
    return comparisons


def _power(measured: dict[str, dict[str, list[float]]], label: str) -> list[str]:
    """The number of paired seeds for an effect as large as the paper's, from the deviation measured here."""
    notes = []
    for metric in (IS, FID):
        by_arm = measured[metric.name]
        baseline = by_arm[BASELINE]
        differences = [
            [a - b for a, b in zip(of, baseline, strict=True)] for key, of in by_arm.items() if key != BASELINE
        ]
        sd = statistics.fmean(statistics.stdev(of) for of in differences)
        effect = RELATIVE_EFFECT[metric] * statistics.fmean(baseline)
        needed = f"{pairs_needed(effect, sd):,}" if sd > 0 else "two"
        notes.append(
            f"{label}: {metric.name} of the baseline {mean_sd(baseline, 3)}; a paired difference has a deviation of"
            f" {sd:.3f} on average, so an effect as large as the paper's ({effect:.3f})"
            f" would take {needed} seeds to show four times in five."
        )
    return notes
