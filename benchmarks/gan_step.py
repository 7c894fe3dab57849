"""Cost of mixing in a discriminator's step, and of a whole GAN iteration against the usual way of training it."""

from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator

from benchmarks.arithmetic import times
from benchmarks.rows import Row, row_of
from benchmarks.setup import LAYERS, SEED, Fixed, Gan, mix_of
from benchmarks.timing import Timings, alternate, median
from mmgan.gan.loop import make_policy
from mmgan.gan.steps import DiscriminatorSlice, Steps
from mmgan.losses import GAN_LOSSES
from mmgan.regularizers import DiffAugment, Regularizers
from mmgan.training.guard import Guard

TARGETS = {"pixel": 1.57, "1": 1.34, "2": 1.16}
AVERAGE_TARGET = 1.35
BOUNDS = {"pixel": 1.50, "1": 1.34, "2": 1.15}
"""Multiply-adds of a step with rows appended at the layer, divided by those of a step without mixing."""

ARITHMETIC_OF_THE_USUAL_WAY = 34.3 / 16.8
"""Its multiply-adds in an iteration, divided by ours (docs/performance.md)."""


def measure(device: str, quick: bool) -> list[Row]:
    return [*discriminator_rows(device, quick), *iteration_rows(device, quick)]


def discriminator_rows(device: str, quick: bool) -> list[Row]:
    """Time the trainer's own step at each layer against none, on the reference network with ready-made fakes."""
    gan = Gan(device, batch_size=4, d_width=16, g_width=16) if quick else Gan(device, batch_size=64)
    steps = {layer: discriminator_calls(gan, layer) for layer in ("none", *TARGETS)}
    timings = alternate(steps, repetitions=3 if quick else 13, device=device)
    setting = f"D step, SN-ResNet {gan.d_width} wide, 32x32, batch {gan.batch_size}"
    rows = [
        row_of(
            f"{setting}: {layer} / none",
            timings.ratio(layer, "none"),
            "x",
            at_most=target,
            arithmetic=times(BOUNDS[layer]),
            detail={"multiply-adds": BOUNDS[layer], "cpu": timings.cpu_ratio(layer, "none").value},
        )
        for layer, target in TARGETS.items()
    ]
    average = median(sum(timings.wall[layer] for layer in TARGETS) / (len(TARGETS) * timings.wall["none"]))
    cpu = median(sum(timings.cpu[layer] for layer in TARGETS) / (len(TARGETS) * timings.cpu["none"]))
    bound = sum(BOUNDS.values()) / len(BOUNDS)
    detail = {"multiply-adds": bound, "cpu": cpu.value}
    rows.append(
        row_of(
            f"{setting}: {LAYERS} / none",
            average,
            "x",
            at_most=AVERAGE_TARGET,
            arithmetic=times(bound),
            headline=True,
            detail=detail,
        )
    )
    return [*rows, row_of(f"{setting}: none", timings.seconds("none"), "ms", scale=1e3)]


def discriminator_calls(
    gan: Gan,
    layer: str,
    regularizers: Regularizers | None = None,
    augment: DiffAugment | None = None,
    guard: type[Guard] = Guard,
    slices: int = 1,
) -> Callable[[], None]:
    """Return a call for one discriminator step of the training loop, with the drawing of its plans."""
    parts, mix = gan.parts("none" if layer == "none" else layer), mix_of(layer)
    accelerator: Any = Accelerator(cpu=gan.device == "cpu")
    guarded = guard("discriminator", parts.discriminator, parts.opt_d, accelerator, 0.0)
    real, _ = gan.batches().batch(0)
    latents = torch.randn(gan.batch_size, gan.latent_dim, device=gan.device)
    with torch.no_grad():
        fakes = Fixed(parts.generator(latents).chunk(slices)[0])
    policy = make_policy(mix)
    steps = Steps(
        fakes,
        parts.discriminator,
        guarded,
        guarded,
        GAN_LOSSES["jsgan"],
        mix,
        regularizers or Regularizers(),
        augment,
        accelerator,
        SEED,
    )

    def step() -> None:
        work = [
            DiscriminatorSlice(rows, z, policy.draw(len(rows), 0, SEED, rank=s, device=gan.device), rank=s)
            for s, (rows, z) in enumerate(zip(real.chunk(slices), latents.chunk(slices), strict=True))
        ]
        steps.discriminator_step(0, work)

    return step


def iteration_rows(device: str, quick: bool) -> list[Row]:
    """Time n_dis discriminator steps and one generator step of the reference networks in the trainer's own loop."""
    gan = Gan(device, batch_size=4, d_width=16, g_width=16) if quick else Gan(device, batch_size=64)
    timings = iteration_timings(gan, repetitions=3)
    speedup = timings.ratio("usual", "ours")
    setting = f"GAN iteration, SN-ResNets, 32x32, n_dis {gan.n_dis}, batch {gan.batch_size}, mix {LAYERS}"
    detail = {"cpu": timings.cpu_ratio("usual", "ours").value}
    return [
        row_of(
            f"{setting}: usual way / ours",
            speedup,
            "x",
            at_least=2.0,
            arithmetic=times(ARITHMETIC_OF_THE_USUAL_WAY),
            headline=True,
            detail=detail,
        ),
        row_of(f"{setting}: ours", timings.seconds("ours"), "s"),
    ]


def iteration_timings(gan: Gan, repetitions: int) -> Timings:
    parts, accelerator = gan.parts(), Accelerator(cpu=gan.device == "cpu")
    usual = gan.usual_way()
    done = iter(range(10**9))
    calls = {
        "ours": lambda: gan.train(parts, accelerator),
        "usual": lambda: usual.iteration(next(done)),
    }
    return alternate(calls, repetitions, gan.device)
