"""The files that mmgan makes in a run folder, by a list. Nothing else is ever removed from one."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
STATE = "state.json"
LOCK = "run.lock"

STARTED = ("config.yaml.part", LOCK)
"""The only files of a run that was killed before it had its config.yaml."""

FILES = re.compile(
    rf"(config\.yaml|(metrics|times)\.jsonl|scores\.json|diagnosis\.json|report\.html|traceback(-\d+)?\.txt"
    rf"|evaluation(-[a-z-]+)?\.json|(reliability|singular-values|deformations)\.png)(\.part)?|{re.escape(LOCK)}"
)
SAMPLES = re.compile(
    r"(step-\d{8,}|best)"
    r"(-seed\d+-\d+(-class\d+)?(-truncation[\d.e+-]+)?(-interpolation)?|-real|-neighbours|-interpolation)?"
    r"\.(png|gif)(\.part)?"
)
CHECKPOINTS = re.compile(r"best|step-\d{8,}|\.(best|step-\d{8,})\.(part|old)")
IN_CHECKPOINT = re.compile(
    r"((generator|discriminator|classifier)(-average)?|regularizers|policy-region-generator|intrusion-discriminator)"
    rf"\.safetensors|optimizer(-[a-z]+)?\.pt|{STATE}|{MANIFEST}"
)
"""The files of a checkpoint whose manifest cannot be read; otherwise the manifest names them."""

TRACKED = "mmgan"
"""The folder of the tracker TensorBoard."""

ALWAYS = {"data", "seed", "out", "resume", "overwrite"}
MARKS = {"n_dis", "epochs"}
"""Settings that each config.yaml of a run has, and those of which it has one: the GAN's, the classifier's."""


def is_run(config: Mapping[Any, Any]) -> bool:
    """Whether these are the settings of a run, as mmgan writes them into its folder: all of them, not a choice."""
    return config.keys() >= ALWAYS and not MARKS.isdisjoint(config.keys())


def remove_run(folder: Path) -> None:
    """Remove a run's files except its config.yaml and its lock. Files that mmgan did not make stay, and so do links to
    folders: what they lead to is emptied in the same way."""
    for path in _matching(folder, FILES):
        if path.name not in ("config.yaml", LOCK) and not path.is_dir():
            path.unlink()
    for path in [*_matching(folder / "samples", SAMPLES), *_matching(folder / "diagnoses", SAMPLES)]:
        if not path.is_dir():
            path.unlink()
    for path in _matching(folder / "checkpoints", CHECKPOINTS):
        remove_checkpoint(path)
    for path in sorted((folder / TRACKED).rglob("*"), reverse=True):  # the deepest first
        if path.is_dir() and not path.is_symlink():
            _remove_if_empty(path)
        elif path.name.startswith("events.out.tfevents.") or path.name == "hparams.yml":
            path.unlink()
    for name in ("samples", "diagnoses", "checkpoints", TRACKED):
        if not (folder / name).is_symlink():
            _remove_if_empty(folder / name)


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint. Files in it that mmgan did not make stay; of a link only the link goes.

    It loses its name first, so that a process killed in between leaves no part of a checkpoint under that name.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    name = path.name[1:].rpartition(".")[0] if path.name.startswith(".") else path.name
    part = path.with_name(f".{name}.part")
    if path.name == name and not part.exists():
        path = path.rename(part)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for file in made_in(path):
            os.unlink(file, dir_fd=folder)
    finally:
        os.close(folder)
    _remove_if_empty(path)
    if path.is_dir() and not path.with_name(name).exists():
        path.rename(path.with_name(name))


def made_in(checkpoint: Path) -> list[str]:
    """The names of the files in a checkpoint that mmgan made; the manifest comes last."""
    try:
        named = json.loads((checkpoint / MANIFEST).read_bytes()).keys()
    except (OSError, ValueError, AttributeError, RecursionError):
        named = ()
    names = [
        path.name
        for path in checkpoint.iterdir()
        if (path.name in named or IN_CHECKPOINT.fullmatch(path.name)) and (path.is_symlink() or path.is_file())
    ]
    return sorted(names, key=lambda name: (name == MANIFEST, name))


def _matching(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    return [path for path in folder.iterdir() if pattern.fullmatch(path.name)] if folder.is_dir() else []


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
