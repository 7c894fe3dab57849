"""The networks that a GAN's settings describe, new or from a run's checkpoint."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from mmgan.config.gan import GanConfig, GanNetworkSettings
from mmgan.discriminators import build_discriminator
from mmgan.draws import global_stream
from mmgan.generators import build_generator
from mmgan.runs.checkpoints import find_checkpoint
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import load_trained, read_facts, read_run_config


def build_networks(
    settings: GanNetworkSettings, *, channels: int, image_size: int, seed: int
) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator for images (channels, image_size, image_size), initialised by the seed.

    Raises:
        UserError: if there are no such networks for these images.
    """
    with global_stream(seed, "init"):
        generator = _generator(settings, channels, image_size)
        discriminator = build_discriminator(
            settings.arch,
            image_size,
            channels,
            settings.d_width,
            settings.pool,
            settings.spectral,
            settings.d_shortcuts,
        )
    return generator, discriminator


def _generator(settings: GanNetworkSettings, channels: int, image_size: int) -> nn.Module:
    return build_generator(
        settings.arch, image_size, channels, settings.g_width, settings.latent_dim, settings.g_shortcuts
    )


def read_gan_config(folder: RunFolder) -> GanConfig:
    """The configuration of a GAN run.

    Raises:
        UserError: if the folder is not a GAN run.
    """
    return read_run_config(folder, GanConfig, "GAN", "n_dis")


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator of a run.

    Attributes:
        network: maps (n, latent_dim) to images in [-1, 1]; in eval mode, on the CPU; the average where there is one.
        latent_dim: dimensions of z ~ N(0, I).
        step: the number of generator steps that it was trained for.
        checkpoint: where it lies.
    """

    network: nn.Module
    latent_dim: int
    step: int
    checkpoint: Path


def load_generator(folder: RunFolder, which: str) -> TrainedGenerator:
    """Load the generator of a GAN run.

    Args:
        folder: the run's.
        which: "last", "best", or a checkpoint's name such as "step-00001000".

    Raises:
        UserError: if there is no such checkpoint, or it is damaged.
    """
    config = read_gan_config(folder)
    path = find_checkpoint(folder.checkpoints, which)
    facts = read_facts(path)
    with global_stream(0, "init"):  # the weights come from the checkpoint
        generator = _generator(config.networks, facts["channels"], facts["image_size"])
    network = load_trained(path, "generator", generator, config.training.ema, config.device)
    return TrainedGenerator(network, config.networks.latent_dim, int(facts["step"]), path)
