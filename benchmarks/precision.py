"""Speed-up by bf16, channels_last, torch.compile and, on a GPU, TF32 and CUDA graphs, on training steps of the
reference networks: each by itself, then all together.

That each computes the same as float32 in eager mode is tested in tests/benchmarks/test_flags.py.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.rows import Row, row_of
from benchmarks.setup import SEED, Gan, mix_of
from benchmarks.timing import alternate
from mmgan import RealFakePolicy
from mmgan.gan.compiled import compile_networks
from mmgan.gan.steps import DiscriminatorSlice, GeneratorSlice, Steps
from mmgan.losses import GAN_LOSSES
from mmgan.process.alone import Alone
from mmgan.regularizers import Regularizers
from mmgan.tf32 import allow_tf32
from mmgan.training.guard import Guard

LAYER = "1"


def measure(device: str, quick: bool) -> list[Row]:
    gan = Gan(device, batch_size=4, d_width=16, g_width=16) if quick else Gan(device, batch_size=16)
    calls = {
        "plain": network_steps(gan),
        "channels_last": network_steps(gan, layout=torch.channels_last),
        "bf16": network_steps(gan, bf16=True),
        "compile": network_steps(gan, compiled=not quick),  # compiling takes longer than the rest of a quick run
    }
    if device == "cuda":
        calls |= {
            "tf32": network_steps(gan, tf32=True),
            "compile and cuda-graphs": network_steps(gan, compiled=True, cuda_graphs=True),
            "channels_last, bf16, compile and cuda-graphs": network_steps(
                gan, torch.channels_last, bf16=True, compiled=True, cuda_graphs=True
            ),
        }
    timings = alternate(calls, repetitions=3 if quick else 5 if device == "cpu" else 50, device=device, warmup=6)
    setting = f"a step of D mixed at {LAYER} and one of G, SN-ResNets {gan.d_width} wide, batch {gan.batch_size}"
    return [
        row_of(
            f"{flag}: speed-up over contiguous float32 in eager mode; {setting}",
            timings.ratio("plain", flag),
            "x",
            detail={"cpu": timings.cpu_ratio("plain", flag).value},
        )
        for flag in list(calls)[1:]
    ]


def network_steps(
    gan: Gan,
    layout: torch.memory_format = torch.contiguous_format,
    bf16: bool = False,
    compiled: bool = False,
    tf32: bool = False,
    cuda_graphs: bool = False,
) -> Callable[[], None]:
    """Return a call for one discriminator step and one generator step of the training loop."""
    accelerator: Any = Alone(gan.device)
    parts, b = gan.parts(LAYER, layout), gan.batch_size
    generator, discriminator, mix = parts.generator, parts.discriminator, mix_of(LAYER)
    if compiled:
        discriminator.check(gan.batches().batch(0)[0].repeat(2, 1, 1, 1))
        compile_networks(generator, discriminator, cuda_graphs=cuda_graphs)
    begin_step = torch.compiler.cudagraph_mark_step_begin if cuda_graphs else lambda: None
    guard_d, guard_g = (
        Guard(name, network, optimizer, accelerator, 0.0)
        for name, network, optimizer in (("D", discriminator, parts.opt_d), ("G", generator, parts.opt_g))
    )
    real, _ = gan.batches().batch(0)
    policy, loss = RealFakePolicy(LAYER), GAN_LOSSES["jsgan"]
    steps = Steps(generator, discriminator, guard_g, guard_d, loss, mix, Regularizers(), None, accelerator, SEED)

    def latents() -> torch.Tensor:
        return torch.randn(b, gan.latent_dim, device=gan.device)

    def autocast() -> contextlib.AbstractContextManager[object]:
        return torch.autocast(gan.device, torch.bfloat16) if bf16 else contextlib.nullcontext()

    def step() -> None:
        allow_tf32(tf32)
        with autocast():
            plan = policy.draw(b, 0, SEED, device=gan.device)
            begin_step()
            steps.discriminator_step(0, [DiscriminatorSlice(real, latents(), plan, rank=0)])
            begin_step()
            steps.generator_step(0, [GeneratorSlice(latents(), real, rank=0)])

    return step
