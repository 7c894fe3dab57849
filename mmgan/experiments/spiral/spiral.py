"""Figures 1 and 2: two spirals through a 2D bottleneck; the effect of each regulariser on hidden states off the data.

The paper gives neither sizes nor code; these are ours. Two spirals of one and a half turns in [-1.1, 1.1]^2; a network
2-48-48-2-48-48-2 with the bottleneck as layer 3, where Appendix B has it, so that Figure 1's layers 1 and 3 are the
first hidden layer and the bottleneck; full batches, Adam at 0.01 along a cosine. Manifold Mixup mixes at the bottleneck
alone, as in Appendix B; a further arm draws layer 1 or 3 each step, since Figure 1 shows both layers flattened. Every
mixup has alpha = 2, the paper's best for Manifold Mixup (Appendix C.1). Noise is added to the input (Figure 2's
caption; Figure 1's says hidden representations). The arms of a seed share data, initial weights and order.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mmgan.analysis.activations import activations
from mmgan.analysis.spectra import average_spectrum, average_summary, class_singular_values
from mmgan.classifiers import MLP
from mmgan.draws import global_stream
from mmgan.experiments.framework.fit import Fit, fit
from mmgan.experiments.framework.hidden import class_geometry, nearest_distances
from mmgan.experiments.framework.outcome import Finding, Outcome, Place
from mmgan.experiments.framework.verdicts import compare_runs, mean_sd
from mmgan.experiments.spiral.arms import ARMS, BOTH, INPUT, MANIFOLD, OTHERS, VANILLA, Arm, spirals
from mmgan.experiments.spiral.surfaces import after, box_of, confidence, grid_over, probabilities
from mmgan.experiments.spiral.surfaces_figure import TrainedSpiral, draw_spectra, draw_surfaces

RANGE = ((-1.1, 1.1), (-1.1, 1.1))
"""The range of the input, in units of the spirals' radius."""

OFF_DATA = 0.1
"""Inputs farther than this from every training example count as off the data (half the gap between arms is 0.17)."""

SURE = 0.95
WIDTHS, BOTTLENECK = (48, 48, 2, 48, 48), 3
LAYERS = ("1", "3")


@dataclass(frozen=True)
class SpiralSettings:
    """Sizes of the experiment, the same for every arm."""

    seeds: int = 5
    train: int = 300
    test: int = 2000
    turns: float = 1.5
    noise: float = 0.03
    fit: Fit = Fit(steps=700, alpha=2.0, lr=1e-2)


def run(place: Place) -> Outcome:
    """Train every arm on every seed, measure, draw both figures; "paper" is the same size as "cpu"."""
    settings = SpiralSettings()
    if place.quick:
        settings = replace(settings, seeds=2, train=100, test=200, fit=replace(settings.fit, steps=20))
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in ARMS}
    spectra: dict[str, dict[str, list[list[float]]]] = {name: {layer: [] for layer in LAYERS} for name in ARMS}
    shown: dict[str, TrainedSpiral] = {}
    for seed in range(settings.seeds):
        x, labels = spirals(settings.train, settings.turns, settings.noise, seed)
        test = spirals(settings.test, settings.turns, settings.noise, seed, purpose="test spirals")
        for name, arm in ARMS.items():
            network = _trained(arm, x, labels, settings.fit, seed)
            measured[name].append(measure(network, x, labels, *test))
            for layer in LAYERS:
                of_class = class_singular_values(activations(network, layer, [x]), labels, center=True)
                spectra[name][layer].append(average_spectrum(of_class).tolist())
            if seed == 0:
                shown[name] = TrainedSpiral(network, x, labels)
        place.say(f"spiral: seed {seed + 1} of {settings.seeds} done")
    draw_surfaces(shown, RANGE, str(BOTTLENECK), place.folder / "spiral-surfaces.png")
    draw_spectra(spectra, place.folder / "spiral-spectra.png")
    values: dict[str, Any] = {
        "settings": asdict(settings) | {"widths": WIDTHS, "bottleneck": BOTTLENECK, "range": RANGE},
        "arms": {name: asdict(arm) for name, arm in ARMS.items()},
        "off_data_distance": OFF_DATA,
        "sure": SURE,
        "measured": measured,
        "class_singular_values": spectra,
    }
    return Outcome(_findings(measured), values, ["spiral-surfaces.png", "spiral-spectra.png"], _notes(measured))


def _trained(arm: Arm, x: Tensor, labels: Tensor, settings: Fit, seed: int) -> MLP:
    with global_stream(seed, "initial weights"):
        network = MLP(2, 2, WIDTHS, BOTTLENECK, arm.dropout, arm.batch_norm, arm.input_noise)
    fit(network, x, labels, 2, replace(settings, layers=arm.layers, weight_decay=arm.weight_decay), seed)
    return network


def measure(
    network: MLP,
    x: Float[Tensor, "n 2"],
    labels: Int64[Tensor, " n"],
    test_x: Float[Tensor, "m 2"],
    test_labels: Int64[Tensor, " m"],
) -> dict[str, float]:
    """Every number of one trained network; shares, confidences and errors in percent.

    Confidence is the largest class probability. Means over a box are over a grid of midpoints. The hidden box is the
    smallest upright one that holds the representations of the training examples.
    """
    inputs = grid_over(RANGE, 100)
    off_data = inputs[nearest_distances(inputs, x) > OFF_DATA]
    hidden = activations(network, str(BOTTLENECK), [x])  # (n, 2)
    hidden_sure = confidence(after(network, str(BOTTLENECK)), grid_over(box_of(hidden), 100))
    named = probabilities(network, inputs).argmax(dim=1)
    margins = torch.cat([nearest_distances(x[labels == c], inputs[named != c]) for c in (0, 1) if (named != c).any()])
    geometry = class_geometry(hidden, labels)
    errors = probabilities(network, test_x).argmax(dim=1) != test_labels
    result = {
        "test_error": 100 * float(errors.float().mean()),
        "confidence_off_data": 100 * float(confidence(network, off_data).mean()),
        "hidden_confidence": 100 * float(hidden_sure.mean()),
        "hidden_sure_share": 100 * float((hidden_sure > SURE).float().mean()),
        "margin": float(margins.mean()),
        "relative_spread": geometry.relative_spread,
        "thickness": geometry.thickness,
        "rest_share": geometry.rest_share,
    }
    for layer in LAYERS:
        spectra = class_singular_values(activations(network, layer, [x]), labels, center=True)
        result[f"rest_layer{layer}"] = average_summary(spectra).rest
    return result


def _findings(measured: Mapping[str, list[dict[str, float]]]) -> list[Finding]:
    line = partial(compare_runs, measured)
    sure = f"hidden box above {100 * SURE:.0f} % confidence (%)"
    hidden, off = "mean confidence in the hidden box (%)", "mean confidence off the data, input space (%)"
    margin = "distance of training examples from the decision boundary (input units)"
    spread = "spread of a class / distance of class means, bottleneck"
    thick = "non-largest deviations of a class / distance of class means, bottleneck"
    share = "non-largest / all singular values of a class, bottleneck"
    rest = "sum of a class's non-largest singular values, layer"
    broad, flat = "broader regions of low confidence (Figure 1 d, e)", "flattened (Figure 1 {})"
    smooth = "boundary smoother, farther from the data (Figure 1 a, b)"
    lines = [
        line(sure, "hidden_sure_share", broad, MANIFOLD, VANILLA),
        line(hidden, "hidden_confidence", broad, MANIFOLD, VANILLA),
        line(off, "confidence_off_data", "low off the data (Figure 1 b, e; Section 1)", MANIFOLD, VANILLA),
        line(margin, "margin", smooth, MANIFOLD, VANILLA, "higher", 3),
        line("test error (%)", "test_error", "generalises better (Section 1)", MANIFOLD, VANILLA, digits=2),
        line(spread, "relative_spread", "classes concentrated (Figure 2)", MANIFOLD, VANILLA, digits=3),
        line(thick, "thickness", flat.format("f"), MANIFOLD, VANILLA, digits=3),
        line(share, "rest_share", flat.format("f"), MANIFOLD, VANILLA, digits=3),
        line(f"{rest} 3", "rest_layer3", flat.format("f"), MANIFOLD, VANILLA),
        line(f"{rest} 1", "rest_layer1", flat.format("c"), MANIFOLD, VANILLA),
        line(f"{rest} 1", "rest_layer1", flat.format("c"), BOTH, VANILLA),
        line(sure, "hidden_sure_share", "input mixup does produce low confidence (Figure 2)", INPUT, VANILLA),
        line(thick, "thickness", "input mixup does not flatten (Figure 2)", MANIFOLD, INPUT, digits=3),
    ]
    for other in OTHERS:
        both = f"{other} does not do both (Figure 2)"
        if other != INPUT:  # of which the paper says that it does give low confidence
            lines.append(line(sure, "hidden_sure_share", both, MANIFOLD, other))
        lines.append(line(spread, "relative_spread", both, MANIFOLD, other, digits=3))
    return lines


def _notes(measured: Mapping[str, list[dict[str, float]]]) -> list[str]:
    def mean(arm: str, key: str) -> str:
        return mean_sd([run[key] for run in measured[arm]], 1)

    return [
        'Scale "paper" is the same as "cpu": the paper gives no sizes, and nothing here needs a GPU.',
        f"Off the data: farther than {OFF_DATA} from every training input, within -1.1 to 1.1; hidden box: the "
        "smallest upright box around the representations of the training examples.",
        "Singular values are of centred classes. A network can undo any scale of its bottleneck in the next layer, so "
        "spread and non-largest deviations are also given in units of the distance between class means.",
        "Manifold Mixup shrinks a class in both directions of the bottleneck, so the share of the non-largest singular "
        "value does not show what the other measures of flatness do.",
        f"Input mixup leaves {mean(INPUT, 'hidden_sure_share')} % of the hidden box above {100 * SURE:.0f} %, "
        f"Manifold Mixup {mean(MANIFOLD, 'hidden_sure_share')} %. The paper does not say which region is broader.",
        f"Input mixup has a test error of {mean(INPUT, 'test_error')} %: lines between examples cross the arms.",
        "Layer 1 is one linear map and a LeakyReLU. That may be too little to flatten spirals.",
        "The figure of surfaces shows the first seed; everything else is over all seeds.",
    ]
