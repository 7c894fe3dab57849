"""The networks of a GAN, built from its settings or loaded from a run's checkpoint."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from mmgan.config.gan import GanConfig, GanNetworkSettings
from mmgan.discriminators import build_discriminator
from mmgan.draws import global_stream
from mmgan.generators import build_generator
from mmgan.runs.folder import RunFolder
from mmgan.runs.trained import TrainedNetwork, load_trained, read_run_config


def build_networks(
    settings: GanNetworkSettings, *, channels: int, image_size: int, seed: int
) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator for images (channels, image_size, image_size), initialised by the seed.

    Raises:
        UserError: if there are no such networks for these images.
    """
    s = settings
    with global_stream(seed, "init"):
        generator = build_generator(s.arch, image_size, channels, s.g_width, s.latent_dim, s.g_shortcuts)
        discriminator = build_discriminator(s.arch, image_size, channels, s.d_width, s.pool, s.spectral, s.d_shortcuts)
    return generator, discriminator


def load_generator(folder: RunFolder, which: str) -> TrainedNetwork:
    """Load the generator of a GAN run: latents (n, latent_dim), z ~ N(0, I) -> images in [-1, 1].

    Args:
        folder: the run's.
        which: "last", "best", or a checkpoint's name such as "step-00001000".

    Raises:
        UserError: if there is no such checkpoint, or it is damaged.
    """
    config = read_run_config(folder, GanConfig)

    def build(facts: Mapping[str, Any]) -> nn.Module:
        shape = {name: facts[name] for name in ("channels", "image_size")}
        return build_networks(config.networks, **shape, seed=0)[0]

    return load_trained(folder, which, "generator", build, config.training.ema, config.device)
