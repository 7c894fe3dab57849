"""Operators that a step starts: on a GPU each is one launch of a kernel or more, whatever the size of the batch.

They are counted on the meta device, where nothing is computed. The draws, the guard and the optimizer are left out; a
fused optimizer takes a few launches for all weights. `--compile --cuda-graphs` replaces the networks' own launches,
forward and backward, by one for each graph.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.rows import Row
from benchmarks.setup import LAYERS, SEED, Gan, mix_of
from mmgan import Mixed, RealFakePolicy
from mmgan.gan.steps import DiscriminatorSlice, GeneratorSlice, Steps
from mmgan.losses import GAN_LOSSES
from mmgan.process.alone import Alone
from mmgan.regularizers import Regularizers
from mmgan.training.guard import Guard

B, META = 4, "meta"


class Launches(TorchDispatchMode):
    """Counts the operators that compute something."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view and not func.name().startswith(("aten::empty", "aten::detach", "aten::_unsafe_view")):
            self.counts[func.name()] += 1
        return func(*args, **(kwargs or {}))


def launches(call: Callable[[], object]) -> int:
    """Count those of a call."""
    with Launches() as counted:
        call()
    return counted.counts.total()


class Backward:
    """A guard without an optimizer."""

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]

    update = backward


def measure(device: str, quick: bool) -> list[Row]:
    """Return a row for each network's step: all of its launches, and in the detail those of the networks themselves."""
    gan = Gan(META, B, d_width=8, g_width=8)
    generator, discriminator = gan.networks()
    mixed, guard = Mixed(discriminator, LAYERS, check=False), cast(Guard, Backward())
    steps = Steps(
        generator,
        mixed,
        guard,
        guard,
        GAN_LOSSES["jsgan"],
        mix_of(LAYERS),
        Regularizers(),
        None,
        Alone(META),
        SEED,
    )
    real, z = torch.zeros(B, 3, 32, 32, device=META), torch.zeros(B, gan.latent_dim, device=META)

    def d_step(layer: str) -> None:
        plan = RealFakePolicy(layer).draw(B).to(META)
        steps.discriminator_step(0, [DiscriminatorSlice(real, z, plan, rank=0)])

    def d_networks() -> None:
        with torch.no_grad():
            fake = generator(z)
        discriminator(torch.cat([real, fake])).sum().backward()

    def g_step() -> None:
        steps.generator_step(0, [GeneratorSlice(z, real, rank=0)])

    def g_networks() -> None:
        discriminator.requires_grad_(False)
        discriminator(generator(z)).sum().backward()
        discriminator.requires_grad_(True)

    inside = {"D": launches(d_networks), "G": launches(g_networks)}
    calls = {f"a step of D, {layer}": lambda layer=layer: d_step(layer) for layer in ("none", *LAYERS.split(","))}
    return [
        Row(
            f"launches of {what}, SN-ResNets for 32x32, without draws and optimizer",
            launches(call),
            "",
            detail={"in the networks": inside[network]},
        )
        for network, what, call in [*(("D", *item) for item in calls.items()), ("G", "a step of G", g_step)]
    ]
