"""Read a sweep from its YAML file."""

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from mmgan.config.files import read_yaml
from mmgan.config.parse import find_config
from mmgan.errors import UserError, did_you_mean
from mmgan.sweeps.definition import COMMANDS, MOST_ARMS, MOST_RUNS, Settings, Sweep, check_names, word

KEYS = ("trainer", "config", "settings", "seeds", "baseline", "arms", "grid", "out")
BASELINE = "baseline"
"""The name of the arm that the key `baseline` describes."""

Kind = TypeVar("Kind")


def read_sweep(path: str | Path) -> Sweep:
    """Read a sweep from a file, or the packaged one of that name; runs and writes nothing.

    Raises:
        UserError: one line that names the file and the error in it.
    """
    file = find_config(str(path))
    values = read_yaml(file)
    try:
        return _sweep(values, file)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def _sweep(values: dict[Any, Any], file: Path) -> Sweep:
    for key in values:
        if key not in KEYS:
            raise UserError(f"unknown key '{key}': {did_you_mean(str(key), KEYS)}")
    trainer: Any = values.get("trainer")
    if trainer not in COMMANDS:
        raise UserError(f"trainer must be {' or '.join(COMMANDS)}")
    arms: dict[str, Settings] = {}
    if values.get("baseline") is not None:
        arms[BASELINE] = _settings(values["baseline"], "baseline", trainer)
    for name, settings in _of(values, "arms", dict, {}).items():
        _add(arms, str(name), _settings(settings, f"arms: {name}", trainer))
    for settings in _grid(_of(values, "grid", dict, {}), trainer):
        _add(arms, " ".join(f"{name}={word(value)}" for name, value in settings.items()), settings)
    return Sweep(
        trainer=trainer,
        config=_of(values, "config", str, None),
        settings=_settings(values.get("settings"), "settings", trainer),
        seeds=_seeds(values.get("seeds")),
        arms=arms,
        baseline=BASELINE if BASELINE in arms else None,
        folder=Path(_of(values, "out", str, f"runs/sweeps/{file.stem}")),
    )


def _add(arms: dict[str, Settings], name: str, settings: Settings) -> None:
    if name in arms:
        raise UserError(f"there are two arms of the name '{name}': rename one")
    arms[name] = settings


def _settings(values: Any, where: str, trainer: str) -> Settings:
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise UserError(f"{where} must hold 'name: value' lines")
    try:
        check_names(trainer, values)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return values


def _grid(values: Mapping[str, Any], trainer: str) -> list[Settings]:
    """One mapping for each combination, the last name changing fastest."""
    _settings(values, "grid", trainer)
    for name, choices in values.items():
        if not isinstance(choices, list) or not choices:
            raise UserError(f"grid: {name} must be a list of values, as in {name}: [1, 2]")
    if (count := math.prod(map(len, values.values()))) > MOST_ARMS:
        raise UserError(f"grid: {count:,} combinations are more than the {MOST_ARMS:,} arms that a sweep may have")
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())] if values else []


def _seeds(values: Any) -> tuple[int, ...]:
    if isinstance(values, int) and not isinstance(values, bool) and values > 0:
        if values > MOST_RUNS:
            raise UserError(f"seeds: {values:,} are more than the {MOST_RUNS:,} runs that a sweep may have")
        return tuple(range(values))
    if isinstance(values, list) and values and all(isinstance(v, int) and not isinstance(v, bool) for v in values):
        return tuple(values)
    raise UserError("seeds must be a list of whole numbers, as in [0, 1, 2], or how many, from 0 on, as in 5")


def _of(values: Mapping[str, Any], key: str, kind: type[Kind], default: Any) -> Any:
    value = values.get(key)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise UserError(f"{key} must be {'text' if kind is str else 'a mapping of names to values'}")
    return value
