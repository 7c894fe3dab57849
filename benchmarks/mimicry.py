"""A GAN iteration next to that of torch-mimicry's SNGAN for 32x32, which mixes nothing; same widths, batch and data.

    python benchmarks/run.py --only mimicry --threads 1

torch-mimicry is no dependency. Without it this part says so in one line and measures nothing. Its iteration is that of
its own trainer: n_dis calls of the discriminator's `train_step` and one of the generator's.
"""

import contextlib
import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from benchmarks.rows import Row, row_of
from benchmarks.setup import LAYERS, Gan
from benchmarks.timing import alternate
from mmgan.process.alone import Alone

TARGET = 0.65
ARITHMETIC = {"none": 0.553, LAYERS: 0.610}
"""Multiply-adds of our iteration divided by those of mimicry's (docs/performance.md)."""


def measure(device: str, quick: bool) -> list[Row]:
    try:
        networks, logs = (
            importlib.import_module(f"torch_mimicry.{name}") for name in ("nets.sngan.sngan_32", "training.metric_log")
        )
    except ImportError as error:
        print(f"mimicry is left out: torch-mimicry cannot be imported ({error})")
        return []
    gan = Gan(device, 32, d_width=32, g_width=64, g_batch_factor=1)
    gan = replace(gan, batch_size=4, d_width=8, g_width=8) if quick else gan
    calls = {
        "mimicry": mimicry_iteration(gan, networks, logs),
        "none": our_iteration(gan, "none"),
        LAYERS: our_iteration(gan, LAYERS),
        "bf16": our_iteration(gan, LAYERS, bf16=True),
        "compile": our_iteration(
            gan, LAYERS, compiled=not quick
        ),  # compiling takes longer than the rest of a quick run
    }
    usual, done = gan.usual_way(), iter(range(10**9))
    calls["usual way"] = lambda: usual.iteration(next(done))
    timings = alternate(calls, repetitions=3 if quick else 9, device=device, warmup=4)
    setting = f"GAN iteration, batch {gan.batch_size}, D {gan.d_width} and G {gan.g_width} wide, n_dis {gan.n_dis}"
    names = {
        "none": "ours without mixing",
        LAYERS: f"ours, mix {LAYERS}",
        "bf16": f"ours, mix {LAYERS}, --mixed-precision bf16",
        "compile": f"ours, mix {LAYERS}, --compile",
        "usual way": f"the usual way of mixing {LAYERS}",
    }
    return [
        row_of(
            f"{setting}: {what} / mimicry's without mixing",
            timings.ratio(name, "mimicry"),
            "x",
            at_most=TARGET if name == LAYERS else None,
            detail={"multiply-adds": ARITHMETIC.get(name), "cpu": timings.cpu_ratio(name, "mimicry").value},
        )
        for name, what in names.items()
    ] + [row_of(f"{setting}: mimicry's", timings.seconds("mimicry"), "s")]


def mimicry_iteration(gan: Gan, networks: Any, logs: Any) -> Callable[[], None]:
    """Return a call for one iteration of mimicry's trainer, on our batches."""
    g = networks.SNGANGenerator32(nz=gan.latent_dim, ngf=gan.g_width).to(gan.device)
    d = networks.SNGANDiscriminator32(ndf=gan.d_width).to(gan.device)
    opt_g, opt_d = (torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.0, 0.9)) for network in (g, d))
    batches, steps, device = gan.batches(), iter(range(10**9)), torch.device(gan.device)

    def iteration() -> None:
        log = logs.MetricLog()
        for _ in range(gan.n_dis):
            real = batches.batch(next(steps))
            d.train_step(real_batch=real, netG=g, optD=opt_d, log_data=log, device=device)
        g.train_step(real_batch=real, netD=d, optG=opt_g, log_data=log, device=device)

    return iteration


def our_iteration(gan: Gan, layers: str, bf16: bool = False, compiled: bool = False) -> Callable[[], None]:
    """Return a call for one iteration of the trainer's own loop."""
    parts = gan.parts(layers)
    if compiled:
        parts.discriminator.check(parts.batches.batch(0)[0].repeat(2, 1, 1, 1))
        for network in (parts.generator, parts.discriminator):
            network.compile(fullgraph=True)

    def iteration() -> None:
        with torch.autocast(gan.device, torch.bfloat16) if bf16 else contextlib.nullcontext():
            gan.train(parts, Alone(gan.device))

    return iteration
