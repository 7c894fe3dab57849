"""The GANs for the benchmarks: networks, noise as data, and the trainer's own parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.usual_way import UsualWay
from mmgan import Mixed
from mmgan.config.fields import Names
from mmgan.config.gan import GanMixSettings, GanTrainingSettings
from mmgan.data import Batches, Images, make_batches, make_images
from mmgan.discriminators import build_discriminator
from mmgan.draws import global_stream, numpy_stream
from mmgan.gan.loop import GanParts, make_optimizer, make_policy, train_gan
from mmgan.generators import Generator, build_generator
from mmgan.training.tasks import LoopContext, Task

SEED = 0
LAYERS = "1,2,pixel"


@dataclass(frozen=True)
class Gan:
    """Settings of a timed GAN. The defaults are the reference SN-ResNets for 32x32 (Miyato et al. 2018)."""

    device: str
    batch_size: int
    image_size: int = 32
    channels: int = 3
    d_width: int = 128
    g_width: int = 256
    latent_dim: int = 128
    n_dis: int = 5
    g_batch_factor: int = 2

    def networks(self, layout: torch.memory_format = torch.channels_last) -> tuple[Generator, nn.Module]:
        """Build generator and discriminator, initialised by the seed."""
        with global_stream(SEED, "init"):
            g = build_generator("resnet", self.image_size, self.channels, self.g_width, self.latent_dim)
            d = build_discriminator("resnet", self.image_size, self.channels, self.d_width)
        return g.to(self.device, memory_format=layout), d.to(self.device, memory_format=layout)  # type: ignore[call-overload]

    def images(self) -> Images:
        """Make images of noise."""
        shape = (8 * self.batch_size, self.channels, self.image_size, self.image_size)
        pixels = numpy_stream(SEED, "benchmark").integers(0, 256, shape, "uint8")
        return make_images("noise", "train", torch.from_numpy(pixels))

    def batches(self) -> Batches:
        """Make batches of these images, dequantised as in the trainer."""
        return make_batches(self.images(), self.batch_size, seed=SEED, device=self.device, dequantize=True)

    def settings(self, steps: int = 1) -> GanTrainingSettings:
        sizes = {"batch_size": self.batch_size, "n_dis": self.n_dis, "g_batch_factor": self.g_batch_factor}
        return GanTrainingSettings(steps=steps, lr_decay="none", **sizes)

    def parts(self, layers: str = LAYERS, layout: torch.memory_format = torch.channels_last) -> GanParts:
        """Build networks and optimizers as the trainer does."""
        generator, discriminator = self.networks(layout)
        mixed = Mixed(discriminator, layers)
        settings = self.settings()
        optimizers = make_optimizer(generator, settings), make_optimizer(mixed, settings)
        policy = make_policy(mix_of(layers))
        return GanParts(generator, mixed, None, *optimizers, self.batches(), policy, self.latent_dim)

    def train(
        self,
        parts: GanParts,
        accelerator: object,
        steps: int = 1,
        on_metrics: Callable[[list[dict[str, Any]]], None] = lambda rows: None,
        tasks: Sequence[Task] = (),
    ) -> None:
        """Run `steps` generator steps of the trainer's own loop, which reads the losses after the last step."""
        context = LoopContext(accelerator, SEED, log_every=10**9, on_metrics=on_metrics, tasks=tasks)  # type: ignore[arg-type]
        train_gan(parts, mix_of(LAYERS), self.settings(parts.step + steps), context)

    def usual_way(self) -> UsualWay:
        """Build the usual way of training with the same networks, data and draws."""
        generator, discriminator = self.networks(torch.contiguous_format)
        policy = make_policy(mix_of(LAYERS))
        return UsualWay(generator, discriminator, self.batches(), policy, self.settings(), SEED, self.device)


class Fixed(nn.Module):
    """A generator of ready-made images, which costs nothing."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.images = images

    def forward(self, latents: Tensor) -> Tensor:
        return self.images


def mix_of(layers: str) -> GanMixSettings:
    return GanMixSettings(mix=Names(layers))
