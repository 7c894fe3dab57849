"""The trained networks of a run, to use and not to train further."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from mmgan.config.classifier import ClassifierConfig
from mmgan.config.gan import GanConfig
from mmgan.config.parse import parse_config
from mmgan.config.shared import DeviceSettings
from mmgan.errors import UserError
from mmgan.process.accelerator import memory_format
from mmgan.runs.checkpoints import find_checkpoint
from mmgan.runs.facts import list_edits
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import load_network, read_facts
from mmgan.training.average import make_average

Config = TypeVar("Config", GanConfig, ClassifierConfig)


def read_run_config(folder: RunFolder, cls: type[Config]) -> Config:
    """The configuration of a run of one of the trainers.

    Raises:
        UserError: if the folder is not a run of the trainer whose configuration `cls` is.
    """
    if cls.MARK not in folder.read_config():
        raise UserError(f"{folder.path} is not a {cls.PROGRAM} run: its {folder.config_file.name} has no {cls.MARK}")
    config, _ = parse_config(cls, [], prog="mmgan", description="", default_config=str(folder.config_file))
    return config


@dataclass(frozen=True)
class TrainedNetwork:
    """A network of a run.

    Attributes:
        network: in eval mode, without gradients, on the CPU; the average of the weights where there is one.
        facts: the values saved with it: step, settings, channels, image_size, data_digest; of a classifier also epoch,
            validation and classes.
        checkpoint: its folder.
        notes: lines that whoever uses it should read.
        edits: how config.yaml differs from these settings, a line each; none unless that was allowed.
    """

    network: nn.Module
    facts: dict[str, Any]
    checkpoint: Path
    notes: tuple[str, ...] = ()
    edits: tuple[str, ...] = ()


def load_trained(
    folder: RunFolder,
    which: str,
    stem: str,
    build: Callable[[dict[str, Any]], nn.Module],
    *,
    settings: Mapping[str, Any],
    device: DeviceSettings,
    ema: float,
    allow_changed: bool = False,
) -> TrainedNetwork:
    """Load a network from a checkpoint.

    Args:
        folder: the run's.
        which: "last", "best", or a checkpoint's name such as "step-00001000".
        stem: of the network's file.
        build: makes the network from the facts of the checkpoint. Its weights are replaced.
        settings: of the run, as `flat` gives them.
        device: the run's; gives the layout of the weights.
        ema: the decay of the run's average; not 0: the average's weights are loaded.
        allow_changed: accept a config.yaml that differs from the settings of the checkpoint.

    Raises:
        UserError: if there is no such checkpoint, it is damaged, it is of another architecture, or it was made with
            other settings.
    """
    path = find_checkpoint(folder.checkpoints, which)
    facts = read_facts(path)
    edits = list_edits(facts, settings)
    if not allow_changed:
        refuse_edits(path, edits)
    network = build(facts).to(memory_format=memory_format(device))
    average = make_average(network, ema)
    if average is None:
        load_network(path, stem, network)
    else:
        load_network(path, f"{stem}-average", average)
        network = average.module
    return TrainedNetwork(network.eval().requires_grad_(False), facts, path, edits=tuple(edits))


def data_edits(trained: TrainedNetwork, digest: str, *, allow_changed: bool) -> list[str]:
    """The line that says that the training data is not the run's; none if it is.

    Args:
        trained: the network.
        digest: of the training data as it is now.
        allow_changed: accept other data.

    Raises:
        UserError: for other data.
    """
    edits = list_edits(trained.facts, {}, digest) if trained.facts.get("data_digest") else []
    if not allow_changed:
        refuse_edits(trained.checkpoint, edits)
    return edits


def refuse_edits(checkpoint: Path, edits: Sequence[str]) -> None:
    """Refuse to judge a network with other settings or data than those that it was made with.

    Raises:
        UserError: listing every difference, if there is one.
    """
    if edits:
        raise UserError(
            f"{checkpoint} was made otherwise: {'; '.join(edits)}; put config.yaml and data back as they were, or add"
            " --allow-changed, which the results then say"
        )
