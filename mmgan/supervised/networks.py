"""The network that a classifier configuration describes, new or from a run's checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmgan.classifiers import build_classifier
from mmgan.config.classifier import ClassifierConfig
from mmgan.config.parse import parse_config
from mmgan.draws import global_stream
from mmgan.errors import UserError
from mmgan.mixing import Mixed
from mmgan.runs.checkpoints import find_checkpoint
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import load_network, read_facts
from mmgan.training.average import make_average


def build_network(config: ClassifierConfig, classes: int, channels: int, size: int) -> Mixed:
    """The classifier of images (channels, size, size), initialised by the seed and wrapped for mixing.

    Raises:
        UserError: if there is no such network for these images, or a layer to mix at does not exist.
    """
    net = config.network
    family, depth = net.arch, net.depth
    if net.arch.startswith("preactresnet"):
        if net.depth is not None:
            raise UserError(
                f"--depth is not a setting of {net.arch}, whose name has it; where the configuration sets it,"
                " --depth null leaves it out"
            )
        family, depth = "preactresnet", int(net.arch.removeprefix("preactresnet"))  # type: ignore[assignment]
    with global_stream(config.run.seed, "init"):
        network = build_classifier(
            family,  # type: ignore[arg-type]
            classes,
            channels,
            size,
            depth=depth,
            width=net.width,
            widen_factor=net.widen_factor,
            widths=net.units,
            bottleneck=net.bottleneck,
            dropout=net.dropout,
            batch_norm=net.batch_norm,
            input_noise=net.input_noise,
            bias=net.bias,
            stem_stride=net.stem_stride,
        )
    layout = torch.channels_last if config.device.channels_last else torch.contiguous_format
    mixed = Mixed(network, config.mix.mix.items, detach=config.mix.detach)
    return mixed.to(memory_format=layout)


def read_classifier_config(folder: RunFolder) -> ClassifierConfig:
    """The configuration of a classifier run.

    Raises:
        UserError: if the folder is not a classifier run's.
    """
    if "epochs" not in folder.read_config():
        raise UserError(f"{folder.path} is not a classifier's run: its {folder.config_file.name} has no epochs")
    config, _ = parse_config(ClassifierConfig, [], prog="mmgan", description="", default_config=str(folder.config_file))
    return config


@dataclass(frozen=True)
class Trained:
    """A classifier of a run.

    Attributes:
        network: images in [-1, 1] -> logits, in eval mode, on the CPU; the average of the weights where there is one.
        facts: what was saved with it: step, epoch, validation, classes, channels, image_size, data_digest.
        checkpoint: where it lies.
    """

    network: nn.Module
    facts: dict[str, Any]
    checkpoint: Path


def load_classifier(folder: RunFolder, which: str, config: ClassifierConfig, classes: int) -> Trained:
    """A run's classifier.

    Args:
        folder: a classifier run's.
        which: "last", "best", or a checkpoint's name such as "step-00001000".
        config: the run's.
        classes: how many classes the data has on which it is to be used.

    Raises:
        UserError: if there is no such checkpoint, it is damaged, or it has another number of classes.
    """
    path = find_checkpoint(folder.checkpoints, which)
    facts = read_facts(path)
    if facts.get("classes") != classes:
        raise UserError(
            f"{path} is of a classifier with {facts.get('classes')} classes, but the data has {classes}:"
            " use the data that it was trained on"
        )
    mixed = build_network(config, classes, facts["channels"], facts["image_size"])
    average = make_average(mixed, config.training.ema)
    if average is None:
        load_network(path, "classifier", mixed)
    else:
        load_network(path, "classifier-average", average)
        mixed.load_state_dict(average.module.state_dict())
    return Trained(mixed.model.eval().requires_grad_(False), facts, path)
