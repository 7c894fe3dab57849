"""Figure 5 (Appendix B): MNIST through a 2D bottleneck, without mixup, with input mixup, with Manifold Mixup.

The network is the paper's, 784-1024-1024-2-1024-1024-K with leaky ReLU, on digits 0-4 (K = 5) and on all (K = 10).
Manifold Mixup mixes "only directly following the 2D bottleneck". The paper gives no optimiser, length or alpha: ours
are Adam at 0.001 along a cosine, batches of 128, and alpha = 2 for both mixups, the paper's best for Manifold Mixup
(Appendix C.1). The arms of a seed share initial weights and order. All measures are of the test images.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mmgan.analysis.accuracy import error_percent
from mmgan.analysis.activations import activations
from mmgan.classifiers import MLP, build_classifier
from mmgan.draws import global_stream
from mmgan.experiments.bottleneck.bottleneck_figure import Cloud, draw_clouds
from mmgan.experiments.framework.fit import CHUNK, Fit, fit, logits_of
from mmgan.experiments.framework.hidden import class_geometry, ellipse_area, nearest_gap, occupied_share
from mmgan.experiments.framework.mnist import load_mnist
from mmgan.experiments.framework.outcome import Finding, Outcome, Place
from mmgan.experiments.framework.verdicts import Direction, compare_runs

WIDTHS, BOTTLENECK = (1024, 1024, 2, 1024, 1024), 3
TASKS = {"digits 0-4": 5, "all digits": 10}
NONE, INPUT, MANIFOLD = "no mixup", "input mixup", "Manifold Mixup"
ARMS = {NONE: "none", INPUT: "pixel", MANIFOLD: str(BOTTLENECK)}


@dataclass(frozen=True)
class BottleneckSettings:
    """Sizes of the experiment, the same for every arm. `train` and `test` count the first images of MNIST; 0: all."""

    seeds: int
    train: int
    test: int
    fit: Fit


CPU = BottleneckSettings(seeds=3, train=0, test=0, fit=Fit(steps=700, alpha=2.0, batch_size=128, lr=1e-3))
PAPER = replace(CPU, seeds=5, fit=replace(CPU.fit, steps=9400))
QUICK = replace(CPU, seeds=2, train=400, test=400, fit=replace(CPU.fit, steps=4, batch_size=64))


def run(place: Place) -> Outcome:
    """Train each arm on both tasks and every seed, measure the hidden test images, draw bottleneck.png.

    Raises:
        UserError: if MNIST is not under the data root.
    """
    settings = QUICK if place.quick else PAPER if place.scale == "paper" else CPU
    train = load_mnist(place.data_root, "train", settings.train)
    test = load_mnist(place.data_root, "test", settings.test)
    measured: dict[str, dict[str, list[dict[str, float]]]] = {}
    clouds: dict[str, dict[str, Cloud]] = {}
    for task, classes in TASKS.items():
        x, labels = _below(*train, classes)
        test_x, test_labels = _below(*test, classes)
        measured[task] = {name: [] for name in ARMS}
        clouds[task] = {}
        for seed in range(settings.seeds):
            for name, layers in ARMS.items():
                with global_stream(seed, "initial weights"):
                    network = build_classifier("mlp", classes, 1, 28, widths=WIDTHS, bottleneck=BOTTLENECK)
                assert isinstance(network, MLP)
                network.to(x.device)
                fit(network, x, labels, classes, replace(settings.fit, layers=layers), seed)
                hidden = activations(network, str(BOTTLENECK), torch.split(test_x, CHUNK))  # (n, 2)
                error = error_percent(logits_of(network, test_x), test_labels)
                measured[task][name].append({"test_error": error} | measure(hidden, test_labels.cpu()))
                if seed == 0:
                    clouds[task][name] = Cloud(hidden, test_labels.cpu(), error)
            place.say(f"bottleneck: {task}, seed {seed + 1} of {settings.seeds} done")
    draw_clouds(clouds, place.folder / "bottleneck.png")
    values: dict[str, Any] = {
        "settings": asdict(settings) | {"widths": WIDTHS, "bottleneck": BOTTLENECK},
        "arms": ARMS,
        "measured": measured,
    }
    findings = [finding for task, arms in measured.items() for finding in _findings(task, arms)]
    return Outcome(findings, values, ["bottleneck.png"], _notes(settings))


def measure(hidden: Float[Tensor, "n 2"], labels: Int64[Tensor, " n"]) -> dict[str, float]:
    """Numbers of one network's hidden test images; `separation`, `largest`, `rest` and `area` in its units."""
    geometry = class_geometry(hidden, labels)
    return {
        "relative_spread": geometry.relative_spread,
        "separation": geometry.separation,
        "largest": geometry.largest,
        "rest": geometry.rest,
        "nearest_gap": nearest_gap(hidden, labels),
        "area": ellipse_area(hidden),
        "occupied_share": occupied_share(hidden, labels),
    }


def _below(x: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    return x[labels < classes], labels[labels < classes]


def _findings(task: str, measured: Mapping[str, list[dict[str, float]]]) -> list[Finding]:
    def line(what: str, key: str, paper: str, baseline: str, claim: Direction = "lower", digits: int = 3) -> Finding:
        return compare_runs(measured, f"{task}: {what}", key, paper, MANIFOLD, baseline, claim, digits)

    tight, small, margin = (
        f"{claim} (Figure 5, Appendix B)" for claim in ("tighter", "smaller region", "wider margin")
    )
    lines = []
    for baseline in (NONE, INPUT):
        lines += [
            line("spread of a class / distance of class means", "relative_spread", tight, baseline),
            line("area of all hidden states (hidden units squared)", "area", small, baseline, digits=1),
            line("areas of the classes / area of all", "occupied_share", small, baseline),
            line("gap to the nearest class / distance of class means", "nearest_gap", margin, baseline, "higher"),
        ]
    return [*lines, line("test error (%)", "test_error", "", NONE, digits=2)]


def _notes(settings: BottleneckSettings) -> list[str]:
    return [
        f"As in the paper, except for the length: {settings.fit.steps} steps of {settings.fit.batch_size}, "
        f"{settings.fit.steps * settings.fit.batch_size / 60000:.1f} epochs of all digits; the paper states no length.",
        "A network can undo any scale of its bottleneck in the next layer, so the area alone says little; the ratios "
        "do not depend on it.",
        "The figure shows the first seed; everything else is over all seeds.",
    ]
