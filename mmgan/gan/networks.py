"""The networks that a GAN configuration describes, new or from a run's checkpoint."""

from pathlib import Path

import torch
from torch import nn

from mmgan.config.gan import GanConfig
from mmgan.config.parse import parse_config
from mmgan.discriminators import build_discriminator
from mmgan.draws import global_stream
from mmgan.errors import UserError
from mmgan.generators import build_generator
from mmgan.mixing import Mixed
from mmgan.runs.checkpoints import find_checkpoint
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import load_network, read_facts
from mmgan.training.average import make_average


def build_networks(config: GanConfig, channels: int, size: int) -> tuple[nn.Module, Mixed]:
    """Generator and discriminator for images (channels, size, size), initialised by the seed.

    Raises:
        UserError: if the networks do not exist for these images, or a layer to mix at does not exist.
    """
    net = config.networks
    with global_stream(config.run.seed, "init"):
        generator = build_generator(net.arch, size, channels, net.g_width, net.latent_dim, net.g_shortcuts)
        discriminator = build_discriminator(
            net.arch, size, channels, net.d_width, net.pool, net.spectral, net.d_shortcuts
        )
    layout = torch.channels_last if config.device.channels_last else torch.contiguous_format
    mixed = Mixed(discriminator, config.mix.mix.items)
    return generator.to(memory_format=layout), mixed.to(memory_format=layout)


def read_gan_config(folder: RunFolder) -> GanConfig:
    """The configuration of a GAN run.

    Raises:
        UserError: if the folder is not a GAN run's.
    """
    if "n_dis" not in folder.read_config():
        raise UserError(f"{folder.path} is not a GAN's run: its {folder.config_file.name} has no n_dis")
    config, _ = parse_config(GanConfig, [], prog="mmgan", description="", default_config=str(folder.config_file))
    return config


def load_generator(folder: RunFolder, which: str) -> tuple[nn.Module, GanConfig, int, Path]:
    """A run's generator in eval mode (its average where there is one), its configuration, its step and its checkpoint.

    Args:
        folder: a GAN run's.
        which: "last", "best", or a checkpoint's name such as "step-00001000".

    Raises:
        UserError: if there is no such checkpoint, or it is damaged.
    """
    config = read_gan_config(folder)
    path = find_checkpoint(folder.checkpoints, which)
    facts = read_facts(path)
    generator, _ = build_networks(config, facts["channels"], facts["image_size"])
    average = make_average(generator, config.training.ema)
    if average is None:
        load_network(path, "generator", generator)
    else:
        load_network(path, "generator-average", average)
        generator = average.module
    return generator.eval().requires_grad_(False), config, int(facts["step"]), path
