"""The network that a classifier's settings describe, new or from a run's checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from mmgan.classifiers import build_classifier
from mmgan.config.classifier import ClassifierConfig, ClassifierNetworkSettings
from mmgan.draws import global_stream
from mmgan.errors import UserError
from mmgan.runs.checkpoints import find_checkpoint
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import load_trained, read_facts, read_run_config


def build_network(
    settings: ClassifierNetworkSettings, *, classes: int, channels: int, image_size: int, seed: int
) -> nn.Module:
    """The classifier of images (channels, image_size, image_size), initialised by the seed.

    Raises:
        UserError: if there is no such network for these images.
    """
    family, depth = settings.arch, settings.depth
    if family.startswith("preactresnet"):
        if depth is not None:
            raise UserError(
                f"--depth is not a setting of {family}, whose name has it; where the configuration sets it,"
                " --depth null leaves it out"
            )
        family, depth = "preactresnet", int(family.removeprefix("preactresnet"))  # type: ignore[assignment]
    with global_stream(seed, "init"):
        return build_classifier(
            family,  # type: ignore[arg-type]
            classes,
            channels,
            image_size,
            depth=depth,
            width=settings.width,
            widen_factor=settings.widen_factor,
            widths=settings.units,
            bottleneck=settings.bottleneck,
            dropout=settings.dropout,
            batch_norm=settings.batch_norm,
            input_noise=settings.input_noise,
            bias=settings.bias,
            stem_stride=settings.stem_stride,
        )


def read_classifier_config(folder: RunFolder) -> ClassifierConfig:
    """The configuration of a classifier run.

    Raises:
        UserError: if the folder is not a classifier run.
    """
    return read_run_config(folder, ClassifierConfig, "classifier", "epochs")


@dataclass(frozen=True)
class TrainedClassifier:
    """A classifier of a run.

    Attributes:
        network: images in [-1, 1] -> logits, in eval mode, on the CPU; the average of the weights where there is one.
        facts: what was saved with it: step, epoch, validation, classes, channels, image_size, data_digest.
        checkpoint: where it lies.
    """

    network: nn.Module
    facts: dict[str, Any]
    checkpoint: Path


def load_classifier(folder: RunFolder, which: str, classes: int) -> TrainedClassifier:
    """Load the classifier of a run.

    Args:
        folder: a classifier run's.
        which: "last", "best", or a checkpoint's name such as "step-00001000".
        classes: how many classes the data has on which it is to be used.

    Raises:
        UserError: if there is no such checkpoint, it is damaged, or it has another number of classes.
    """
    config = read_classifier_config(folder)
    path = find_checkpoint(folder.checkpoints, which)
    facts = read_facts(path)
    if facts.get("classes") != classes:
        raise UserError(
            f"{path} is of a classifier with {facts.get('classes')} classes, but the data has {classes}:"
            " use the data that it was trained on"
        )
    network = build_network(
        config.network, classes=classes, channels=facts["channels"], image_size=facts["image_size"], seed=0
    )
    network = load_trained(path, "classifier", network, config.training.ema, config.device)
    return TrainedClassifier(network, facts, path)
