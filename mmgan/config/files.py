"""YAML files of settings."""

from pathlib import Path
from typing import Any

import yaml

from mmgan.errors import UserError


def read_yaml(path: Path, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> dict[Any, Any]:
    """Read the mapping in a YAML file, without executing anything in it.

    Raises:
        UserError: if it is not YAML, holds more than plain values, or holds no mapping.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: it must hold 'name: value' lines")
    return values
