"""Checkpoints: a folder each, whole or not there.

A checkpoint is written into a folder beside its place, its manifest (the SHA-256 of every file) last, and then renamed.
Weights are safetensors; the rest loads with weights_only=True, so that loading a run never executes code from it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from mmgan.errors import UserError

MANIFEST = "manifest.json"
STATE = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """What is saved of a training state.

    Attributes:
        networks: a file name's stem -> the module whose state dict it holds.
        optimizers: a file name's stem -> the optimizer.
        facts: plain values: the step, the seed, digests of what the run must not change under way.
    """

    networks: Mapping[str, nn.Module]
    optimizers: Mapping[str, torch.optim.Optimizer]
    facts: Mapping[str, Any]


def step_name(step: int) -> str:
    return f"step-{step:08d}"


def save_checkpoint(folder: Path, name: str, checkpoint: Checkpoint) -> Path:
    """Write `folder/name`; one that stands there is replaced only when the new one is whole."""
    place, part, old = folder / name, folder / f".{name}.part", folder / f".{name}.old"
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    part.mkdir(parents=True)
    for stem, network in checkpoint.networks.items():
        tensors = {key: value.detach().contiguous() for key, value in network.state_dict().items()}
        safetensors.torch.save_file(tensors, part / f"{stem}.safetensors")
    for stem, optimizer in checkpoint.optimizers.items():
        torch.save(optimizer.state_dict(), part / f"{stem}.pt")
    (part / STATE).write_text(json.dumps(dict(checkpoint.facts), indent=2) + "\n", encoding="utf-8")
    digests = {path.name: _sha256(path) for path in sorted(part.iterdir())}
    (part / MANIFEST).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
    for path in part.iterdir():
        _flush(path)
    if place.exists():
        place.rename(old)
    part.rename(place)
    _flush(folder)
    shutil.rmtree(old, ignore_errors=True)
    return place


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` numbered checkpoints."""
    for path in sorted(folder.glob("step-*"))[:-keep]:
        shutil.rmtree(path)


def newest_checkpoint(folder: Path) -> tuple[Path, list[str]]:
    """The newest numbered checkpoint that agrees with its manifest, and a line for each newer one that does not.

    Raises:
        UserError: if none does; the message says what is wrong with each.
    """
    faults: list[str] = []
    for path in sorted(folder.glob("step-*"), reverse=True):
        fault = find_fault(path)
        if fault is None:
            return path, faults
        faults.append(f"{path}: {fault}")
    if faults:
        raise UserError(f"no checkpoint in {folder} can be trusted: {'; '.join(faults)}")
    raise UserError(
        f"there is no checkpoint in {folder}: the run stopped before its first one; start anew with --overwrite"
    )


def find_checkpoint(folder: Path, which: str) -> Path:
    """The checkpoint that a user names: "last", "best", or a name such as "step-00001000".

    Raises:
        UserError: if there is no such checkpoint, or it is damaged.
    """
    if which == "last":
        return newest_checkpoint(folder)[0]
    path = folder / which
    if not path.is_dir() or Path(which).name != which:
        names = ", ".join(sorted(p.name for p in folder.glob("[!.]*"))) or "none"
        raise UserError(f"there is no checkpoint '{which}' in {folder}: choose last or one of {names}")
    if fault := find_fault(path):
        raise UserError(f"{path}: {fault}")
    return path


def find_fault(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, or None."""
    try:
        digests = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
        for name, digest in digests.items():
            if Path(name).name != name or not (checkpoint / name).is_file():
                return f"{name} is missing"
            if _sha256(checkpoint / name) != digest:
                return f"{name} does not have the content it was saved with"
    except (OSError, ValueError, AttributeError) as error:
        return f"its {MANIFEST} cannot be read ({error})"
    return None


def read_facts(checkpoint: Path) -> dict[str, Any]:
    """The plain values that were saved with a checkpoint."""
    facts: dict[str, Any] = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    return facts


def load_network(checkpoint: Path, stem: str, network: nn.Module) -> None:
    """Load weights into a network of the same architecture.

    Raises:
        UserError: if the file is missing, or its names or shapes are not the network's; the first difference is named.
    """
    path = checkpoint / f"{stem}.safetensors"
    if not path.is_file():
        raise UserError(f"{path} is missing: the checkpoint is of another kind of run, or incomplete")
    tensors = safetensors.torch.load_file(path)
    difference = _difference(tensors, network.state_dict())
    if difference:
        raise UserError(
            f"{path} is of another architecture: {difference}; use the settings that the run was started with"
        )
    network.load_state_dict(tensors)


def load_optimizer(checkpoint: Path, stem: str, optimizer: torch.optim.Optimizer) -> None:
    """Load an optimizer's state; weights_only, so that nothing in the file is executed."""
    optimizer.load_state_dict(torch.load(checkpoint / f"{stem}.pt", map_location="cpu", weights_only=True))


def _difference(saved: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    for name in sorted(saved.keys() ^ wanted.keys()):
        return f"'{name}' is {'only in the file' if name in saved else 'not in the file'}"
    for name, tensor in wanted.items():
        if saved[name].shape != tensor.shape:
            return f"'{name}' has shape {tuple(saved[name].shape)}, not {tuple(tensor.shape)}"
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
