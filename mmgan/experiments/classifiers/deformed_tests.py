"""Tables 4 and 9: test accuracy under deformations not seen in training, with the runs of `cifar` and `alpha`."""

from statistics import fmean

from mmgan.analysis.plots import deformation_plot
from mmgan.experiments.classifiers.classifier_arms import ARMS, BASELINE, INPUT, MANIFOLD, paper_study, small_study
from mmgan.experiments.classifiers.evaluations import clean_accuracy, evaluate
from mmgan.experiments.framework.outcome import Outcome, Place
from mmgan.experiments.framework.studies import Collected, Comparison, Study, arm, train
from mmgan.experiments.framework.verdicts import Direction

INPUT_2 = arm("pixel", 2)

ACCURACY = {  # Table 9, %: no mixup; input mixup, alpha 1 and 2; Manifold Mixup, alpha 2
    "rotation-20": (52.96, 55.55, 56.48, 60.08),
    "rotation-40": (33.82, 37.73, 36.78, 42.13),
    "rotation-60": (26.77, 28.47, 27.53, 33.78),
    "rotation-80": (24.19, 26.72, 25.34, 29.95),
    "shear-28.6": (55.92, 58.16, 60.01, 62.85),
    "shear-57.3": (35.66, 39.34, 39.70, 44.27),
    "shear-114.6": (19.57, 22.94, 22.80, 24.69),
    "shear-143.2": (17.55, 21.66, 21.22, 23.56),
    "shear-171.9": (22.38, 25.53, 25.27, 28.02),
    "zoom-in-20": (2.43, 1.90, 2.45, 2.03),
    "zoom-in-40": (4.97, 4.47, 5.23, 4.17),
    "zoom-in-60": (12.68, 13.75, 13.12, 11.49),
    "zoom-in-80": (47.95, 52.18, 50.47, 52.70),
    "zoom-out-120": (43.18, 60.02, 61.62, 63.59),
    "zoom-out-140": (19.34, 41.81, 42.02, 45.29),
    "zoom-out-160": (11.12, 25.48, 25.85, 27.02),
    "zoom-out-180": (7.98, 18.11, 18.02, 15.68),
}
NOTES = [
    "The numbers are not divided by the accuracy on undeformed images, so a classifier that is worse on those is worse"
    " here too.",
    "Bilinear interpolation, black outside the image, one angle per image. The paper's own code differs"
    " (docs/classifiers.md).",
]


def run(place: Place) -> Outcome:
    """Train missing runs, deform the test images, compare accuracies seed by seed, draw them."""
    study = _study(place)
    names = [BASELINE, MANIFOLD] if place.quick else [BASELINE, INPUT, INPUT_2, MANIFOLD]
    limit = 60 if place.quick else 2000 if place.scale == "cpu" else 0
    records = train(place, study, {name: ARMS[name] for name in names})
    results = evaluate(place, records, ["deformations"], limit)
    accuracy = {
        f"accuracy at {deformation}, %": {
            name: [result["deformation_accuracy_percent"][deformation] for result in of] for name, of in results.items()
        }
        for deformation in ACCURACY
    }
    comparisons = []
    for name, (none, _, _, manifold) in ACCURACY.items():
        claim: Direction = "higher" if manifold > none else "lower"
        text = f"{manifold:.2f} against {none:.2f} (Table 9)"
        comparisons.append(Comparison(f"accuracy at {name}, %", MANIFOLD, BASELINE, claim, text))
    means = {name: {d: fmean(accuracy[f"accuracy at {d}, %"][name]) for d in ACCURACY} for name in names}
    collected = Collected("deformations", place.folder)
    clean = clean_accuracy(results)
    collected.add(study, records, comparisons, accuracy, test_images=limit or "all", clean_accuracy_percent=clean)
    deformation_plot(means, collected.figure(), title=study.label)
    collected.outcome.notes.extend(NOTES)
    return collected.outcome


def _study(place: Place) -> Study:
    if place.scale == "cpu":
        return small_study(place)
    return paper_study("CIFAR-100, PreActResNet-34", "cifar100-preactresnet34")
