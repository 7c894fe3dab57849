"""The definition of a sweep, and the command and settings of each of its runs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_type_hints

from mmgan.config.classifier import ClassifierConfig
from mmgan.config.gan import GanConfig
from mmgan.config.parse import flat, parse_config
from mmgan.errors import UserError, did_you_mean, printable
from mmgan.runs.folder import RunFolder
from mmgan.storage import name_fault

Settings = Mapping[str, Any]
TrainerName = Literal["gan", "classifier"]

COMMANDS: Mapping[str, str] = {"gan": "train-gan", "classifier": "train-classifier"}
CONFIGS: Mapping[str, type[Any]] = {"gan": GanConfig, "classifier": ClassifierConfig}

OWN = ("seed", "out", "resume", "overwrite", "allow_changed", "dry_run")
"""Settings that the sweep itself sets for each run."""

MOST_ARMS, MOST_RUNS = 1000, 10_000
"""Beyond these, a sweep is a mistake in its file: to plan it alone would take minutes and gigabytes."""


@dataclass(frozen=True)
class Sweep:
    """Runs of one trainer: every arm with every seed.

    Raises:
        UserError: if there is nothing to run, or two runs would share a folder.
    """

    trainer: TrainerName
    config: str | None  # the file that all runs start from; None: the trainer's embedded default
    settings: Settings  # these override the file, for all runs; named as in config files
    seeds: tuple[int, ...]  # arms share them, so that they can be compared seed by seed
    arms: Mapping[str, Settings]  # an arm's name -> settings that override all others
    baseline: str | None  # the arm that the others are compared with
    folder: Path  # for the runs, as <arm>/seed<k>, and the summary

    def __post_init__(self) -> None:
        if self.trainer not in COMMANDS:
            raise UserError(f"there is no trainer '{self.trainer}': choose {' or '.join(COMMANDS)}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise UserError(f"seeds {list(self.seeds)} are not valid: give different whole numbers from 0 on")
        if not self.arms:
            raise UserError("the sweep has no arm: give a baseline, arms, or a grid")
        if len(self.arms) > MOST_ARMS or len(self.arms) * len(self.seeds) > MOST_RUNS:
            raise UserError(
                f"{len(self.arms):,} arms with {len(self.seeds):,} seeds each are too many: a sweep has at most"
                f" {MOST_ARMS:,} arms and {MOST_RUNS:,} runs"
            )
        if self.baseline is not None and self.baseline not in self.arms:
            raise UserError(f"the baseline '{self.baseline}' is none of the arms {', '.join(self.arms)}")
        if fault := name_fault(self.folder / max(map(path_name, self.arms), key=len)):
            raise UserError(f"the folders of the sweep's arms cannot be made in {self.folder} ({fault})")
        names: dict[str, str] = {}
        for arm in self.arms:
            if arm != printable(arm):
                raise UserError(f"the arm '{arm}' has control characters in its name: rename it")
            if (other := names.setdefault(path_name(arm), arm)) != arm:
                raise UserError(f"the arms '{other}' and '{arm}' would share the folder {path_name(arm)}: rename one")


@dataclass(frozen=True)
class Run:
    """One run of a sweep."""

    arm: str
    seed: int  # of all draws
    folder: RunFolder
    log: Path  # the file with the run's output
    words: tuple[str, ...]  # the command after `mmgan`, without --resume or --overwrite
    config: Settings  # all settings, flat

    @property
    def name(self) -> str:
        return f"{self.arm}, seed {self.seed}"


def list_runs(sweep: Sweep) -> list[Run]:
    """All runs, ordered by seed: a sweep that is cut short has as many complete sets of arms as possible.

    Raises:
        UserError: if the trainer refuses the settings of an arm, or two arms are the same.
    """
    resolved: dict[str, tuple[list[str], dict[str, Any]]] = {}
    for arm, own in sweep.arms.items():
        try:
            words = _words(sweep, {**sweep.settings, **own})
            config, _ = parse_config(
                CONFIGS[sweep.trainer], words, prog=COMMANDS[sweep.trainer], description="", default_config=""
            )
        except UserError as error:
            raise UserError(f"arm '{arm}': {error}") from None
        values = flat(config)
        for other, (_, others) in resolved.items():
            if values == others:
                raise UserError(f"the arms '{other}' and '{arm}' have the same settings: leave one out")
        resolved[arm] = words, values
    runs = []
    for seed in sweep.seeds:
        for arm, (words, values) in resolved.items():
            path = sweep.folder / path_name(arm) / f"seed{seed}"
            own_words = (COMMANDS[sweep.trainer], *words, f"--seed={seed}", f"--out={path}")
            settings = {**values, "seed": seed, "out": str(path)}
            runs.append(Run(arm, seed, RunFolder(path), path.with_name(f"seed{seed}.log"), own_words, settings))
    return runs


def path_name(arm: str) -> str:
    """An arm's name as a folder's: `1,2,pixel` becomes `1+2+pixel`."""
    name = re.sub(r"[^\w.+=-]+", "_", arm.replace(",", "+"), flags=re.ASCII)
    return re.sub(r"^[.-]", "_", name) or "_"


def word(value: Any) -> str:
    """A setting as the value of a flag: null, true, false, lists with commas."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(word, value))
    return str(value)


def check_names(trainer: str, settings: Settings) -> None:
    """Refuse settings that the trainer does not have, and settings that the sweep sets itself.

    Raises:
        UserError: naming the nearest right one.
    """
    known = _hints(trainer)
    for name in settings:
        if name in OWN:
            raise UserError(f"the sweep itself gives each run its '{name}': leave it out")
        if name not in known:
            raise UserError(f"unknown setting '{name}': {did_you_mean(name, [n for n in known if n not in OWN])}")


def _words(sweep: Sweep, settings: Settings) -> list[str]:
    """The flags of a run, without its seed and folder."""
    check_names(sweep.trainer, settings)
    hints = _hints(sweep.trainer)
    words = ["--config", sweep.config or f"configs/{sweep.trainer}/digits.yaml"]
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if hints[name] is bool:
            if not isinstance(value, bool):
                raise UserError(f"{name} {word(value)} is not valid: it must be true or false")
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, Mapping):
            raise UserError(f"{name} is not valid: it must be a value, not a mapping")
        else:
            words.append(f"--{flag}={word(value)}")
    return words


def _hints(trainer: str) -> dict[str, Any]:
    """A setting's name -> its type."""
    groups = get_type_hints(CONFIGS[trainer]).values()
    return {f.name: get_type_hints(group)[f.name] for group in groups for f in fields(group)}
