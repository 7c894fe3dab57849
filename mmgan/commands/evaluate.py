"""`mmgan evaluate RUN`: every measure of the paper on a trained classifier."""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmgan.commands.arguments import Parser, Shown
from mmgan.config.classifier import ClassifierConfig
from mmgan.config.fields import Levels, check_range
from mmgan.errors import UserError
from mmgan.process.program import program

if TYPE_CHECKING:
    from mmgan.data import Images
    from mmgan.runs.folder import RunFolder

DESCRIPTION = (
    "Measure a trained classifier on its test images: error, NLL, calibration, nearest neighbours, deformations"
    " (Table 9), FGSM and PGD (Table 7), the unbounded check (Appendix D), singular values (Section 3.2). Prints a"
    " table; writes evaluation.json, reliability.png, singular-values.png and deformations.png into the run folder, and"
    " its report.html anew."
)

MEASURES = ("knn", "deformations", "attacks", "spectra")  # those of mmgan.analysis.evaluation, which would import torch


def parser() -> Parser:
    """The command's parser."""
    parser = Parser(
        prog="mmgan evaluate", description=DESCRIPTION, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("run", help="run folder of a classifier")
    parser.add_argument("--checkpoint", default="last", help="last, best, or a checkpoint's name")
    parser.add_argument(
        "--measures",
        nargs="+",
        choices=MEASURES,
        default=Shown(" ".join(MEASURES)),
        help="what to measure besides error, NLL and calibration",
    )
    parser.add_argument("--json", action="store_true", help="print evaluation.json instead of the table")
    parser.add_argument("--data-root", help="folder that holds the data sets; unset: the run's")
    parser.add_argument("--limit", type=int, default=0, help="test images, drawn by the seed; 0: all")
    parser.add_argument(
        "--epsilon",
        type=Levels,
        nargs="+",
        default=Shown("8/255", Levels),
        help="radii of FGSM and PGD, in pixel units of [0, 1]",
    )
    parser.add_argument("--attack-examples", type=int, default=500, help="test images for the attacks of many steps")
    parser.add_argument("--interpolation", choices=["bilinear", "nearest"], default="bilinear", help="of deformations")
    parser.add_argument("--layer", nargs="+", help="layers whose singular values are taken (default: 1 and 2)")
    parser.add_argument("--spectrum-examples", type=int, default=2000, help="test images for the singular values")
    parser.add_argument("--center", action="store_true", help="subtract the mean before the singular values")
    parser.add_argument("--knn-layer", default="features", help="layer for the nearest neighbours")
    parser.add_argument("--k", type=int, default=5, help="number of neighbours")
    parser.add_argument("--bank", type=int, default=0, help="training images for the neighbours; 0: all")
    parser.add_argument("--bins", type=int, default=15, help="bins of the reliability diagram")
    parser.add_argument("--seed", type=int, default=0, help="of all draws")
    parser.add_argument(
        "--allow-changed",
        action="store_true",
        help="accept a config.yaml or data other than those of the checkpoint, and say so in evaluation.json",
    )
    return parser


def _check(arguments: argparse.Namespace) -> None:
    for epsilon in arguments.epsilon:
        if not (epsilon >= 0 and math.isfinite(epsilon)):
            raise UserError(f"--epsilon {epsilon} is out of range: it must be at least 0, in pixel units of [0, 1]")
    check_range(arguments, "limit", "bank", "seed", least=0)
    check_range(arguments, "attack_examples", "spectrum_examples", "k", "bins", least=1)


@program
def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parser().parse_args(argv)
    _check(arguments)

    import torch

    from mmgan.analysis.activations import activations
    from mmgan.analysis.evaluation import evaluate_classifier, format_table
    from mmgan.report import write_report
    from mmgan.runs.data import read_split
    from mmgan.runs.folder import RunFolder
    from mmgan.runs.trained import data_edits, read_run_config
    from mmgan.storage import write_atomically
    from mmgan.supervised.networks import load_classifier

    folder = RunFolder(arguments.run)
    data = read_run_config(folder, ClassifierConfig).data
    data = replace(data, data_root=arguments.data_root or data.data_root, download=False)

    def load(split: str) -> "Images":
        images = read_split(data, split)
        if images.labels is None:
            raise UserError(f"{images.name} ({split}) has no labels to compare with")
        return images

    test, train = load("test"), load("train")
    allowed = arguments.allow_changed
    trained = load_classifier(folder, arguments.checkpoint, len(test.classes), allow_changed=allowed)
    edits = [*trained.edits, *data_edits(trained, train.digest, allow_changed=allowed)]
    network, device = trained.network, "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device).requires_grad_(False)
    spectral = arguments.layer or [layer for layer in ("1", "2") if layer in dict(getattr(network, "stages", {}))]
    layers = list(dict.fromkeys([*spectral, arguments.knn_layer]))
    for layer in layers:
        activations(network, layer, [torch.zeros(1, *test.pixels.shape[1:], device=device)])  # refuses an unknown one

    def features(layer: str) -> Any:
        return lambda x: activations(network, layer, [x]).to(device)

    images, labels = _drawn(test, arguments.limit, arguments.seed, "evaluated examples", device)
    results = evaluate_classifier(
        network,
        images,
        labels,
        measures=arguments.measures,
        features={layer: features(layer) for layer in layers},
        bank=_drawn(train, arguments.bank, arguments.seed, "bank", device),
        knn_layer=arguments.knn_layer,
        k=arguments.k,
        bins=arguments.bins,
        epsilons=tuple(map(float, arguments.epsilon)),
        attack_examples=arguments.attack_examples,
        interpolation=arguments.interpolation,
        spectrum_examples=arguments.spectrum_examples,
        center=arguments.center,
        seed=arguments.seed,
    )
    results = {
        "run": str(folder.path),
        "checkpoint": trained.checkpoint.name,
        "epoch": trained.facts["epoch"],
        "changed": [*trained.facts.get("changed", []), *(f"measured although {edit}" for edit in edits)],
        "data": {"name": test.name, "split": test.split, "digest": test.digest},
        "device": device,
    } | results
    text = json.dumps(results, indent=2, allow_nan=False)
    write_atomically(folder.path / "evaluation.json", text + "\n")
    pictures = _plot(results, folder)
    if arguments.json:
        print(text)
        write_report(folder)
        return
    print(f"{trained.checkpoint}, epoch {trained.facts['epoch']}: {len(labels):,} test images of {test.name}")
    print(format_table(results))
    for path in [folder.path / "evaluation.json", *pictures, write_report(folder)]:
        print(path)


def _drawn(images: "Images", count: int, seed: int, purpose: str, device: str) -> tuple[Any, Any]:
    """Pixels and labels of `count` images drawn by the seed, all with 0, on the device."""
    import torch

    from mmgan.draws import numpy_stream

    index = torch.from_numpy(numpy_stream(seed, purpose).permutation(len(images))[: count or None]).sort().values
    assert images.labels is not None
    return images.pixels[index].to(device), images.labels[index].to(device)


def _plot(results: dict[str, Any], folder: "RunFolder") -> list[Path]:
    from mmgan.analysis.calibration import ReliabilityCurve
    from mmgan.analysis.plots import deformation_plot, reliability_diagram, singular_value_plot

    name = folder.path.resolve().name
    paths = [folder.path / "reliability.png"]
    reliability_diagram(ReliabilityCurve(**results["reliability"]), paths[0], title=name)
    if "spectra" in results:
        paths.append(folder.path / "singular-values.png")
        spectra = {
            f"layer {layer}, {scope}": values[f"{scope}_values"]
            for layer, values in results["spectra"].items()
            for scope in ("class", "overall")
        }
        singular_value_plot(spectra, paths[-1], title=name)
    if "deformation_accuracy_percent" in results:
        paths.append(folder.path / "deformations.png")
        accuracy = {"undeformed": 100 - results["test_error_percent"]} | results["deformation_accuracy_percent"]
        deformation_plot({name: accuracy}, paths[-1], title=name)
    return paths
