"""A generator outside its run: a folder with weights, what builds the network, a card to read and a sample grid."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import nn

from mmgan.config.gan import GanConfig, GanNetworkSettings
from mmgan.config.shared import DeviceSettings
from mmgan.digests import file_digest
from mmgan.errors import UserError
from mmgan.gan.card import model_card
from mmgan.gan.classes import saved_classes
from mmgan.gan.networks import build_networks, load_generator, offered_to
from mmgan.gan.own import OwnNetwork
from mmgan.gan.samples import sample_grid
from mmgan.process.accelerator import memory_format
from mmgan.runs.facts import versions
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import load_network
from mmgan.runs.pictures import save_grid
from mmgan.runs.trained import TrainedNetwork, read_run_config
from mmgan.storage import storing, write_atomically

CONFIG, WEIGHTS, CARD, SAMPLES = "config.json", "model.safetensors", "README.md", "samples.png"

FORMAT = "mmgan generator"
"""Marks config.json as this project's."""

VERSION = 1
"""Of config.json; a reader refuses later ones."""


def export_generator(
    folder: RunFolder, which: str, out: Path, license_name: str, own: OwnNetwork | None = None
) -> list[Path]:
    """Write a run's generator into a new folder, from which `read_export` loads it.

    Args:
        folder: the run's.
        which: "last", "best", or a checkpoint's name.
        out: absent or empty.
        license_name: what the card says in its licence field.
        own: the generator of the user's own that the run was trained with.

    Returns:
        The files.

    Raises:
        UserError: if there is no such checkpoint, or `out` is not empty.
        StorageFailed: if a file cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not an empty folder: name another with --out")
    config = read_run_config(folder, GanConfig)
    trained = load_generator(folder, which, own)
    facts, network = trained.facts, trained.network
    weights = safetensors.torch.save({key: value.contiguous() for key, value in network.state_dict().items()})
    with storing(out):
        out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / WEIGHTS, weights)
    values = {
        "format": FORMAT,
        "version": VERSION,
        "generator": None if config.own.generator is None else Path(config.own.generator).name,
        "generator_args": {} if config.own.generator_args is None else config.own.generator_args.values,
        "network": asdict(config.networks),
        "channels": facts["channels"],
        "image_size": facts["image_size"],
        "latent_dim": config.networks.latent_dim,
        "channels_last": config.device.channels_last,
        "averaged": config.training.ema > 0,
        "step": facts["step"],
        "checkpoint": trained.checkpoint.name,
        "weights_sha256": file_digest(out / WEIGHTS),
    } | versions()
    values |= {name: facts[name] for name in ("class_names", "class_counts") if name in facts}
    write_atomically(out / CONFIG, json.dumps(values, indent=2) + "\n")
    classes = saved_classes(facts)
    images, columns = sample_grid(network, config.networks.latent_dim, config.run.seed, "cpu", classes)
    save_grid(images, out / SAMPLES, columns)
    history = folder.read_scores().get("history", [])
    entry = next((scored for scored in history if scored.get("step") == facts["step"]), None)
    write_atomically(out / CARD, model_card(folder.read_config(), values, entry, license_name, SAMPLES))
    return [out / name for name in (WEIGHTS, CONFIG, CARD, SAMPLES)]


def is_export(folder: Path) -> bool:
    """Whether a folder looks like an exported generator rather than a run."""
    return (folder / CONFIG).is_file() and not (folder / "config.yaml").is_file()


def read_export(folder: Path, own: OwnNetwork | None = None) -> TrainedNetwork:
    """Load an exported generator: the same weights, bit for bit. No code is run that the folder holds or names.

    Args:
        folder: that `export_generator` wrote.
        own: the generator, named again where it is not mmgan's.

    Raises:
        UserError: if the folder is not an exported generator, is damaged, or was made by a later version.
    """
    values = _read_config(folder / CONFIG)
    if not (folder / WEIGHTS).is_file() or file_digest(folder / WEIGHTS) != values["weights_sha256"]:
        raise UserError(f"{folder / WEIGHTS} is not the file that was exported: export the run again, or copy it again")
    try:
        network = _build(folder, values, own)
    except (KeyError, TypeError, RuntimeError, OverflowError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"{folder / CONFIG} describes no generator ({why}): export the run again") from None
    load_network(folder, Path(WEIGHTS).stem, network)
    return TrainedNetwork(network.eval().requires_grad_(False), values, folder)


def _build(folder: Path, values: Mapping[str, Any], own: OwnNetwork | None) -> nn.Module:
    shape = {name: values[name] for name in ("channels", "image_size")}
    classes = saved_classes(values)
    count = None if classes is None else len(classes)
    named = values["generator"]
    if named is not None and own is None:
        raise UserError(
            f"{folder} holds the weights of a generator of somebody's own, {named}, and not its code: name it again,"
            " generator=..."
        )
    if named is None and own is not None:
        raise UserError(f"{folder} holds mmgan's own generator: leave {own.place} out")
    if own is not None:
        own = own if own.arguments else replace(own, arguments=values["generator_args"])
        return own.build(offered_to(**shape, latent_dim=values["latent_dim"], classes=count))
    network, _ = build_networks(GanNetworkSettings(**values["network"]), **shape, seed=0, classes=count)
    layout = memory_format(DeviceSettings(channels_last=values["channels_last"]))
    return network.to(memory_format=layout)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({' '.join(str(error).split())}): name an exported generator") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise UserError(f"{path} is not of an exported generator: name a folder that `mmgan export` wrote")
    if values.get("version") != VERSION:
        raise UserError(f"{path} has version {values.get('version')}, and this mmgan reads {VERSION}: upgrade mmgan")
    return values
