"""Section 3.2, Figures 9 to 12 (Appendix G): singular values of MNIST's classes at a bottleneck, five regularisers.

The measures are of the bottleneck's output for the test images; Manifold Mixup mixes there. Section 3.2 mentions "the
first hidden layer" and "a single, fixed hidden layer", without a size; Appendix G, to which it refers, has the
bottleneck. Nothing is centred, as in the paper's text; results.json holds the centred values too. A network can undo
any scale of its bottleneck in the next layer, and singular values have that scale. So the thickness of the classes, in
units of the distance between their means, is compared too.

The paper gives no optimiser and no length: ours are Adam at 0.001 along a cosine, batches of 128; weight decay 1e-3
(L2, in the gradient) and dropout 0.5 as in the spiral experiment; alpha 2 for both mixups. Arms of a seed share initial
weights and order. At cpu scale the wide layers have 256 units instead of 1024, for a training long enough to matter.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mmgan.analysis.accuracy import error_percent
from mmgan.analysis.activations import activations
from mmgan.analysis.spectra import average_spectrum, average_summary, class_singular_values, singular_values, summarize
from mmgan.classifiers import build_classifier
from mmgan.draws import global_stream
from mmgan.experiments.framework.fit import CHUNK, Fit, fit, logits_of
from mmgan.experiments.framework.hidden import class_geometry
from mmgan.experiments.framework.mnist import load_mnist
from mmgan.experiments.framework.outcome import Outcome, Place
from mmgan.experiments.spectra.spectra_findings import (
    BASELINE,
    DROPOUT,
    EARLY,
    INPUT,
    LATE,
    MANIFOLD,
    WEIGHT_DECAY,
    WIDER,
    Measured,
    draw_spectra,
    findings,
)

ARMS = (BASELINE, WEIGHT_DECAY, DROPOUT, INPUT, MANIFOLD)
FIGURE_ARMS = (BASELINE, INPUT, MANIFOLD)  # of Figures 9 to 11


@dataclass(frozen=True)
class Setup:
    """A network: `before` wide layers, a bottleneck of `units`, four wide layers (Appendix G)."""

    before: int
    units: int
    arms: tuple[str, ...]


SETUPS = {LATE: Setup(3, 12, ARMS), WIDER: Setup(3, 30, FIGURE_ARMS), EARLY: Setup(1, 30, FIGURE_ARMS)}


@dataclass(frozen=True)
class SpectraSettings:
    """Sizes of the experiment, the same for every arm. `images` counts the first of MNIST's, of each split; 0: all."""

    seeds: int
    width: int
    fit: Fit
    weight_decay: float = 1e-3
    dropout: float = 0.5
    images: int = 0


CPU = SpectraSettings(seeds=3, width=256, fit=Fit(steps=2000, alpha=2.0, batch_size=128, lr=1e-3))
PAPER = replace(CPU, seeds=5, width=1024, fit=replace(CPU.fit, steps=9400))  # 20 epochs
QUICK = replace(CPU, seeds=2, width=16, images=500, fit=replace(CPU.fit, steps=4, batch_size=64))


def run(place: Place) -> Outcome:
    """Train every network of every setup and seed, decompose its bottleneck's output, draw spectra.png.

    Raises:
        UserError: if MNIST is not under the data root.
    """
    settings = QUICK if place.quick else PAPER if place.scale == "paper" else CPU
    train, test = (load_mnist(place.data_root, split, settings.images) for split in ("train", "test"))
    measured: Measured = {}
    for title, setup in SETUPS.items():
        measured[title] = {name: [] for name in setup.arms}
        for seed in range(settings.seeds):
            for name in setup.arms:
                measured[title][name].append(_train(setup, name, settings, seed, train, test))
            place.say(f"spectra: {title}, seed {seed + 1} of {settings.seeds} done")
    draw_spectra(measured, place.folder / "spectra.png")
    values: dict[str, Any] = {
        "settings": asdict(settings) | {"setups": {title: asdict(setup) for title, setup in SETUPS.items()}},
        "measured": measured,
    }
    return Outcome(findings(measured), values, ["spectra.png"], _notes(settings))


def _train(
    setup: Setup,
    name: str,
    settings: SpectraSettings,
    seed: int,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
) -> dict[str, Any]:
    bottleneck = setup.before + 1
    layers = {INPUT: "pixel", MANIFOLD: str(bottleneck)}.get(name, "none")
    decay = settings.weight_decay if name == WEIGHT_DECAY else 0.0
    dropout = settings.dropout if name == DROPOUT else 0.0
    widths = [settings.width] * setup.before + [setup.units] + [settings.width] * 4
    with global_stream(seed, "initial weights"):
        network = build_classifier("mlp", 10, 1, 28, widths=widths, bottleneck=bottleneck, dropout=dropout)
    network.to(train[0].device)
    losses = fit(network, *train, 10, replace(settings.fit, layers=layers, weight_decay=decay), seed)
    hidden = activations(network, str(bottleneck), torch.split(test[0], CHUNK))  # (n, units)
    last = losses[-100:]
    return {
        "test_error": error_percent(logits_of(network, test[0]), test[1]),
        "training_loss": sum(last) / len(last),
    } | measure(hidden, test[1].cpu())


def measure(hidden: Float[Tensor, "n d"], labels: Int64[Tensor, " n"]) -> dict[str, Any]:
    """Spectra of one network's hidden states and Section 3.2's summaries of them; see `mmgan.analysis.spectra`.

    Args:
        hidden: a row an example.
        labels: their classes; two or more.
    """
    plain, centred = (class_singular_values(hidden, labels, center=center) for center in (False, True))
    overall = singular_values(hidden)
    of_plain, of_centred, of_all = average_summary(plain), average_summary(centred), summarize(overall)
    return {
        "largest": of_plain.largest,
        "rest": of_plain.rest,
        "centred_largest": of_centred.largest,
        "centred_rest": of_centred.rest,
        "overall_largest": of_all.largest,
        "overall_rest": of_all.rest,
        "thickness": class_geometry(hidden, labels).thickness,
        "class_values": average_spectrum(plain).tolist(),
        "centred_class_values": average_spectrum(centred).tolist(),
        "overall_values": overall.tolist(),
    }


def _notes(settings: SpectraSettings) -> list[str]:
    epochs = settings.fit.steps * settings.fit.batch_size / 60000
    return [
        "Measured at the bottleneck on all test images, not centred. The values depend on the number of images and on"
        " the layer's scale, so compare only ratios with the paper.",
        f"Wide layers of {settings.width} units (the paper's have 1024), {settings.fit.steps} steps of"
        f" {settings.fit.batch_size}, {epochs:.1f} epochs; the paper states no length.",
        "Thickness: the sum of the non-largest centred singular values / sqrt(images of the class), over the mean"
        " distance of class means. Unlike the other measures, it does not depend on the layer's scale.",
    ]
