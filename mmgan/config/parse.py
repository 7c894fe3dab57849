"""From a command line and a YAML file to a frozen configuration.

Keys are flat: a setting's name is its flag (`--data-root`) and its YAML key (`data_root`), whatever group it is in.
"""

import argparse
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, fields
from difflib import SequenceMatcher
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from jsonargparse import ActionYesNo, ArgumentParser
from jsonargparse.typing import register_type

from mmgan.config.absent import instead_of
from mmgan.config.fields import JsonObject, Levels, Names
from mmgan.config.files import read_yaml
from mmgan.errors import UserError, did_you_mean

Config = TypeVar("Config")

HELP = "--help lists all settings"

RENAMED = {"mix_label": "mix_target"}
"""Settings of earlier states by what they are called now."""

register_type(Names, serializer=str, deserializer=Names.parse)
register_type(Levels, serializer=str, deserializer=Levels)
register_type(JsonObject, serializer=str, deserializer=JsonObject.parse)


def flat(config: Any) -> dict[str, Any]:
    """The settings of all groups in one mapping of plain values, as config.yaml and --print_config show them."""
    merged: dict[str, Any] = {}
    for group in fields(config):
        merged |= asdict(getattr(config, group.name))
    return {name: _plain_value(value) for name, value in merged.items()}


def _plain_value(value: Any) -> Any:
    """Without the class that a setting was read by, which YAML cannot write."""
    return next((kind(value) for kind in (str, float) if isinstance(value, kind)), value)


def unflat(cls: type[Config], values: dict[str, Any]) -> Config:
    """The configuration that `flat` was made from.

    Raises:
        UserError: for a value that its group refuses.
    """
    groups = get_type_hints(cls)
    built = {}
    for group in fields(cls):  # type: ignore[arg-type]
        settings = groups[group.name]
        built[group.name] = settings(**{f.name: values[f.name] for f in fields(settings)})
    return cls(**built)


def parse_config(
    cls: type[Config], argv: Sequence[str], *, prog: str, description: str, default_config: str
) -> tuple[Config, str | None]:
    """Read `argv` into a `cls`.

    Flags override `--config` wherever they stand. Without `--config`, the packaged file `default_config` is read; with
    `--resume`, the settings of the run in `--out`.
    `--help` and `--print_config` print and leave.

    Returns:
        The configuration, and the path given with `--config`, or None.

    Raises:
        UserError: one line that names an unknown flag or key and the nearest right one, or a bad value.
    """
    parser = parser_of(cls, prog, description)
    known = {name for group in get_type_hints(cls).values() for name in (f.name for f in fields(group))}
    argv, chosen = _split_config(argv)
    _refuse_unknown_flags(argv, known)
    resumed = None if chosen else _config_of_resumed(argv)
    path = find_config(chosen or resumed or default_config)
    _refuse_unknown_keys(path, known)
    if chosen or resumed:
        _refuse_code(path, argv, getattr(cls, "CODE", ()))
    try:
        namespace = parser.parse_args(["--config", str(path), *argv])
    except argparse.ArgumentError as error:
        raise UserError(_plain(str(error), cls)) from None
    except Exception as error:  # jsonargparse reads values as YAML, whose constructors raise all sorts on odd ones
        raise UserError(f"the settings are not valid: {' '.join(str(error).split())}") from error
    values = namespace.as_dict()
    for name, value in values.items():
        if isinstance(value, str) and any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
            raise UserError(
                f"--{name.replace('_', '-')} {value} is not valid: it holds control characters or bytes that are not"
                " UTF-8; rename the file or folder"
            )
    return unflat(cls, values), chosen


def find_config(name: str) -> Path:
    """A configuration file, or the packaged one of that name: `configs/gan/cifar10.yaml` works in any folder.

    Raises:
        UserError: if there is none; the three nearest packaged ones are listed.
    """
    if Path(name).is_file():
        return Path(name)
    packaged = Path(str(files("mmgan"))) / "configs"
    inside = packaged / name.removeprefix("configs/")
    if inside.is_file():
        return inside
    listed = sorted(f"configs/{path.relative_to(packaged)}" for path in packaged.rglob("*.yaml"))
    near = sorted(listed, key=lambda path: _likeness(name, path), reverse=True)[:3]
    raise UserError(f"the config file {name} does not exist; the nearest that come with mmgan are {', '.join(near)}")


def _likeness(name: str, path: str) -> float:
    """How much alike two paths are, and their files' names without the folders once more."""
    pairs = (name, path), (Path(name).stem, Path(path).stem)
    return sum(SequenceMatcher(None, *pair).ratio() for pair in pairs)


def parser_of(cls: type[Any], prog: str, description: str) -> ArgumentParser:
    """The parser of a program: a flag for each setting of a configuration, in groups, and --config."""
    parser = ArgumentParser(prog=prog, description=description, exit_on_error=False)
    parser.add_argument("--config", action="config", help="YAML file of settings; flags override it")
    for settings in get_type_hints(cls).values():
        group = parser.add_argument_group(settings.__doc__)
        hints = get_type_hints(settings)
        for f in fields(settings):
            flag = "--" + f.name.replace("_", "-")
            text = f.metadata["help"]
            if hints[f.name] is bool:
                group.add_argument(flag, action=ActionYesNo(no_prefix="no-"), default=f.default, help=text)
            else:
                group.add_argument(flag, type=hints[f.name], default=f.default, help=text)
    return parser


def _split_config(argv: Sequence[str]) -> tuple[list[str], str | None]:
    """argv without its --config, its flags written with hyphens, and the last file given.

    Arguments apply left to right, so the file must come first.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config")
    try:
        found, rest = parser.parse_known_args(argv)
    except argparse.ArgumentError:
        raise UserError("--config needs a file, as in --config configs/gan/cifar10.yaml") from None
    return [_hyphens(word) for word in rest], found.config


def _hyphens(word: str) -> str:
    """--batch_size=5 -> --batch-size=5"""
    if not word.startswith("--") or word == "--print_config":
        return word
    flag, equals, value = word.partition("=")
    return flag.replace("_", "-") + equals + value


def _config_of_resumed(argv: Sequence[str]) -> str | None:
    """With --resume and --out alone a run goes on with its own settings."""
    if "--resume" not in argv:
        return None
    out = next((following for word, following in pairwise([*argv, ""]) if word == "--out"), None)
    out = next((word.removeprefix("--out=") for word in argv if word.startswith("--out=")), out)
    own = Path(out or "") / "config.yaml"
    return str(own) if out and own.is_file() else None


def _refuse_unknown_flags(argv: Sequence[str], known: set[str]) -> None:
    for word in argv:
        name = word.removeprefix("--").split("=")[0]
        plain = name.replace("-", "_")
        if not word.startswith("--") or plain in known or plain.removeprefix("no_") in known:
            continue
        if plain in RENAMED:
            raise UserError(f"unknown flag --{name}: it is --{RENAMED[plain].replace('_', '-')} now")
        if plain not in ("help", "print_config"):
            flags = ["--" + n.replace("_", "-") for n in known]
            raise UserError(f"unknown flag --{name}: {instead_of(f'--{name}', flags, HELP)}")


def _refuse_unknown_keys(path: Path, known: set[str]) -> None:
    for key in read_yaml(path):
        if key in RENAMED:
            raise UserError(f"unknown key '{key}' in {path}: it is {RENAMED[key]} now, with the same values")
        if key not in known:
            raise UserError(f"unknown key '{key}' in {path}: {did_you_mean(str(key), [*known], HELP)}")


def _refuse_code(path: Path, argv: Sequence[str], names: Sequence[str]) -> None:
    """A file of settings, a run's config.yaml among them, does not decide whose code runs."""
    flags = {word.partition("=")[0] for word in argv}
    values = read_yaml(path)
    for name in names:
        if values.get(name) is not None and f"--{name}" not in flags:
            raise UserError(
                f"{path} names code of your own, {name}: {values[name]}; code runs only where the command names it: add"
                f" --{name} {values[name]}"
            )


def _plain(message: str, cls: type[Any]) -> str:
    """jsonargparse's message about a value, in one line that names the flag and what it takes."""
    message = " ".join(message.split())
    found = re.search(r'[Kk]ey "(\w+)".*(?:Got|Given) value: (.*)$', message)
    hints = {name: hint for group in get_type_hints(cls).values() for name, hint in get_type_hints(group).items()}
    if not found or found[1] not in hints:
        return f"the settings are not valid: {message}"
    name, value = found.groups()
    return f"--{name.replace('_', '-')} {value} is not valid: it must be {_wanted(hints[name])}"


def _wanted(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "null"}
    kinds[Levels] = "a number or a fraction, as in 8/255"
    kinds[JsonObject] = "a JSON object, as in '{\"width\": 64}'"
    return kinds.get(hint) or " or ".join(_wanted(part) for part in get_args(hint))
