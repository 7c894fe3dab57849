"""The share of a training step outside networks, optimizers and spectral norms, measured by torch's profiler.

The network's part is the forwards of G and D without the work of the taps (spectral norms run inside D), and the
backward without the graph nodes of mixing. torch marks the optimizers' steps. The rest of the step's time belongs to
the loop: data, latents, plans, mixing, losses, the guard and the metrics. The profiler slows small operations most, so
the share is rather too high.
"""

from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.rows import Row
from benchmarks.setup import Gan
from mmgan.gan.loop import GanParts
from mmgan.mixing.taps import Call

STEP, NETWORK, MIXING = "step", "network", "mixing"
MIXING_NODES = ("IndexSelectBackward", "LerpBackward", "CatBackward")
"""Kinds of graph nodes that interpolation and appending create. Our networks create none of these kinds."""


def measure(device: str, quick: bool) -> list[Row]:
    reference = Gan(device, batch_size=4, d_width=16, g_width=16) if quick else Gan(device, batch_size=16)
    digits = Gan(device, 32, image_size=16, channels=1, d_width=32, g_width=32, latent_dim=32, n_dis=1)
    return [
        _row(
            f"share of a GAN iteration outside networks and optimizers, SN-ResNets {reference.d_width} wide",
            reference,
            1,
            3.0,
        ),
        _row("the same share for configs/gan/digits.yaml, the smallest preset", digits, 2 if quick else 25, None),
    ]


def _row(what: str, gan: Gan, steps: int, at_most: float | None) -> Row:
    shares = share_of_loop(gan, steps)
    return Row(f"{what}, batch {gan.batch_size}", 100 * shares["loop"], "%", at_most=at_most, detail=shares)


def share_of_loop(gan: Gan, steps: int) -> dict[str, float]:
    """Return the parts of a training step as shares that add up to 1."""
    training, accelerator = gan.parts(), Accelerator(cpu=gan.device == "cpu")
    gan.train(training, accelerator)
    _label(training)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gan.device == "cuda" else [])]
    apply = Call.apply
    Call.apply = _labelled(MIXING, Call.apply)  # type: ignore[method-assign]
    try:
        with profile(activities=activities) as found, record_function(STEP):
            gan.train(training, accelerator, steps)
    finally:
        Call.apply = apply  # type: ignore[method-assign]
    events = [event for event in found.events() or [] if event.device_type == torch.autograd.DeviceType.CPU]
    total = _time(events, lambda name: name == STEP)
    mixing = _time(events, lambda name: name == MIXING)
    mixing_nodes = _time(events, lambda name: name.startswith(_node(*MIXING_NODES)))
    parts = {
        "network, forward": _time(events, lambda name: name == NETWORK) - mixing,
        "network, backward": _time(events, lambda name: name.startswith(_node(""))) - mixing_nodes,
        "optimizer": _time(events, lambda name: name.startswith("Optimizer.step")),
    }
    shares = {name: seconds / total for name, seconds in parts.items()}
    return shares | {"mixing": (mixing + mixing_nodes) / total, "loop": 1 - sum(shares.values())}


def _label(parts: GanParts) -> None:
    for network in (parts.generator, parts.discriminator.model):
        network.forward = _labelled(NETWORK, network.forward)  # type: ignore[method-assign]


def _labelled(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with record_function(name):
            return function(*args, **kwargs)

    return call


def _node(*kinds: str) -> tuple[str, ...]:
    return tuple(f"autograd::engine::evaluate_function: {kind}" for kind in kinds)


def _time(events: list[FunctionEvent], which: Callable[[str], bool]) -> float:
    """Return the microseconds of all events of these names, including the calls inside them."""
    return float(sum(event.cpu_time_total for event in events if which(event.name)))
