"""Checkpoints: a folder each, whole or not there.

A checkpoint is written into a folder next to its place: every file is flushed, the manifest (the SHA-256 of every file)
last. Then the folder is renamed, and its parent is flushed before anything older is removed. Weights are safetensors;
the rest loads with weights_only=True, so that loading a run never executes code from it.
"""

import contextlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from mmgan.errors import UserError
from mmgan.runs.belongings import CHECKPOINTS, MANIFEST, STATE, made_in, remove_checkpoint
from mmgan.runs.loading import find_fault
from mmgan.storage import flush_folder, storing, write_flushed

NUMBERED = re.compile(r"step-(\d{8,})")


def step_name(step: int) -> str:
    return f"step-{step:08d}"


def save_checkpoint(
    folder: Path,
    name: str,
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    facts: Mapping[str, Any],
) -> Path:
    """Write `folder/name`; an older one there is replaced only when the new one is whole.

    Each file is made in memory first, so that its digest is of the intended content, not of the content on disk.

    Args:
        folder: of all checkpoints.
        name: of this one.
        networks, optimizers: to save, by the stem of their file.
        facts: plain values: the step, the seed, and the conditions that the run must not change.

    Raises:
        StorageFailed: if it cannot be written; the older one is kept.
    """
    place, part, old = folder / name, folder / f".{name}.part", folder / f".{name}.old"
    with storing(place):
        recover_checkpoints(folder)
        part.mkdir(exist_ok=True)  # not its parents: a deleted run folder must not come back with a checkpoint alone
        try:
            digests = {}
            for stem, network in networks.items():
                tensors = {key: value.detach().contiguous() for key, value in network.state_dict().items()}
                file = part / f"{stem}.safetensors"
                digests[file.name] = write_flushed(file, safetensors.torch.save(tensors))
            for stem, optimizer in optimizers.items():
                buffer = io.BytesIO()
                torch.save(optimizer.state_dict(), buffer)
                file = part / f"{stem}.pt"
                digests[file.name] = write_flushed(file, buffer.getvalue())
            digests[STATE] = write_flushed(part / STATE, _json(facts))
            write_flushed(part / MANIFEST, _json(digests))
            flush_folder(part)
            if place.exists() or place.is_symlink():
                place.rename(old)
            part.rename(place)
            flush_folder(folder)
        except OSError:
            with contextlib.suppress(OSError):
                remove_checkpoint(part)  # gives its room back
            if old.exists() and not place.exists():
                old.rename(place)
            raise
        with contextlib.suppress(OSError):
            _replaced(old, place)
    return place


def recover_checkpoints(folder: Path) -> None:
    """Clean up after a killed process: remove a checkpoint that was not complete, and restore one that was being
    replaced. Only what bears the name of such a checkpoint is touched."""
    for path in [path for path in folder.glob(".*") if CHECKPOINTS.fullmatch(path.name)]:
        place = folder / path.name[1:].removesuffix(path.suffix)
        if path.suffix == ".part":
            remove_checkpoint(path)
        elif place.exists():
            _replaced(path, place)
        else:
            path.rename(place)


def _replaced(old: Path, place: Path) -> None:
    """Remove a checkpoint whose replacement is in place. Files in it that mmgan did not make move there."""
    remove_checkpoint(old)
    if old.is_dir():
        for path in old.iterdir():
            if not (place / path.name).exists():
                path.rename(place / path.name)
        old.rmdir()


def prune_checkpoints(folder: Path, keep: int, step: int) -> None:
    """Remove all but the newest `keep` numbered checkpoints up to `step`.

    A resumed run does not trust later ones. They do not count, so that they do not displace good ones.

    Raises:
        StorageFailed: if one cannot be removed.
    """
    with storing(folder):
        for path in [path for path in numbered_checkpoints(folder) if _step_of(path) <= step][keep:]:
            remove_checkpoint(path)


def numbered_checkpoints(folder: Path) -> list[Path]:
    """The folders of numbered checkpoints, newest first; not one in which only files of others are left."""
    named = [path for path in folder.glob("step-*") if NUMBERED.fullmatch(path.name) and path.is_dir()]
    found = [path for path in named if made_in(path)]
    return sorted(found, key=_step_of, reverse=True)


def _step_of(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def newest_checkpoint(folder: Path) -> tuple[Path, list[str]]:
    """The newest numbered checkpoint that agrees with its manifest, and a line for each newer one that does not.

    Raises:
        UserError: if none does, with the fault of each.
    """
    faults: list[str] = []
    for path in numbered_checkpoints(folder):
        fault = find_fault(path)
        if fault is None:
            return path, faults
        faults.append(f"{path}: {fault}")
    if faults:
        raise UserError(f"no checkpoint in {folder} can be trusted: {'; '.join(faults)}")
    raise UserError(
        f"there is no checkpoint in {folder}: the run stopped before its first one; start again with --overwrite"
    )


def find_checkpoint(folder: Path, which: str) -> Path:
    """The checkpoint that a user names: "last", "best", or a name such as "step-00001000".

    Raises:
        UserError: if there is no such checkpoint, or it is damaged.
    """
    if which == "last":
        return newest_checkpoint(folder)[0]
    path, old = folder / which, folder / f".{which}.old"
    if Path(which).name == which and not path.is_dir() and old.is_dir():
        path = old  # a run was killed while it replaced this one
    if not path.is_dir() or Path(which).name != which:
        names = ", ".join(sorted(p.name for p in folder.glob("[!.]*"))) or "none"
        raise UserError(f"there is no checkpoint '{which}' in {folder}: choose last or one of {names}")
    if fault := find_fault(path):
        raise UserError(f"{path}: {fault}")
    return path


def _json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()
