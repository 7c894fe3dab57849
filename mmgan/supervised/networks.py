"""The network of a classifier, built from its settings or loaded from a run's checkpoint."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import nn

from mmgan.classifiers import build_classifier
from mmgan.config.classifier import ClassifierConfig, ClassifierNetworkSettings
from mmgan.config.parse import flat
from mmgan.draws import global_stream
from mmgan.errors import UserError
from mmgan.runs.folder import RunFolder
from mmgan.runs.trained import TrainedNetwork, load_trained, read_run_config


def build_network(
    settings: ClassifierNetworkSettings,
    *,
    classes: int,
    channels: int,
    image_size: int,
    seed: int,
    purpose: str = "init",
) -> nn.Module:
    """The classifier of images (channels, image_size, image_size), initialised by the seed's stream `purpose`.

    Raises:
        UserError: if there is no such network for these images.
    """
    arguments: dict[str, Any] = asdict(settings) | {"widths": settings.units}
    arch = arguments.pop("arch")
    if arch.startswith("preactresnet"):
        if settings.depth is not None:
            raise UserError(
                f"--depth is not a setting of {arch}, whose name has it; where the configuration sets it,"
                " --depth null leaves it out"
            )
        arch, arguments["depth"] = "preactresnet", int(arch.removeprefix("preactresnet"))
    with global_stream(seed, purpose):
        return build_classifier(arch, classes, channels, image_size, **arguments)


def load_classifier(folder: RunFolder, which: str, classes: int, *, allow_changed: bool = False) -> TrainedNetwork:
    """Load the classifier of a run: images in [-1, 1] -> logits.

    Args:
        folder: a classifier run's.
        which: "last", "best", or a checkpoint's name such as "step-00001000".
        classes: how many classes the data has.
        allow_changed: accept a config.yaml that differs from the settings of the checkpoint.

    Raises:
        UserError: if there is no such checkpoint, it is damaged, it has another number of classes, or it was made with
            other settings.
    """
    config = read_run_config(folder, ClassifierConfig)

    def build(facts: Mapping[str, Any]) -> nn.Module:
        if facts.get("classes") != classes:
            raise UserError(
                f"{folder.path} holds a classifier with {facts.get('classes')} classes, but the data has {classes}:"
                " use the data that it was trained on"
            )
        shape = {name: facts[name] for name in ("classes", "channels", "image_size")}
        return build_network(config.network, **shape, seed=0)

    return load_trained(
        folder,
        which,
        "classifier",
        build,
        settings=flat(config),
        device=config.device,
        ema=config.training.ema,
        allow_changed=allow_changed,
    )
