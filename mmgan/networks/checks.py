"""Checks of settings and names of stages that the networks share."""

from collections.abc import Iterable, Sequence

from mmgan.errors import UserError


def require_size(network: str, image_size: int, sizes: Iterable[int]) -> None:
    """Raise a UserError unless the network exists for this image size."""
    if image_size not in sizes:
        listed = ", ".join(map(str, sizes))
        raise UserError(f"there is no {network} for {image_size} pixels: choose one of {listed}")


def require_positive(**values: int) -> None:
    """Raise a UserError that names the first value below 1."""
    for name, value in values.items():
        if value < 1:
            raise UserError(f"{name} is {value}: a network needs at least 1")


def require_one_of(setting: str, value: str, choices: Sequence[str]) -> None:
    """Raise a UserError unless the value is one of the choices."""
    if value not in choices:
        listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise UserError(f"{setting} '{value}' is unknown: choose {listed}")


def stage_names(prefix: str, count: int) -> dict[str, str]:
    """Short names of numbered submodules: {"1": "block1", "h1": "block1", ..., "4": "block4"} for "block" and 4."""
    return {f"{alias}{i}": f"{prefix}{i}" for i in range(1, count + 1) for alias in ("", "h")}
