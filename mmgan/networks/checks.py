"""Checks of settings and names of stages that the networks share."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmgan.errors import UserError
from mmgan.networks.sizes import LARGEST, STEP, is_size, nearest_size


def require_size(network: str, image_size: int) -> None:
    """Raise a UserError that names the nearest size unless the network exists for this image size."""
    if not is_size(image_size):
        raise UserError(
            f"there is no {network} for {image_size} pixels: choose a multiple of {STEP} from {STEP} to {LARGEST}, such"
            f" as --image-size {nearest_size(image_size)}, the nearest"
        )


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


def refuse_classes(arch: str, classes: int | None) -> None:
    """Raise a UserError if an architecture without conditional networks is to be conditional."""
    if classes is not None:
        raise UserError(f"--conditional is for --arch resnet: the {arch} networks take no classes")


def require_classes(network: str, classes: int | None, y: Tensor | None) -> None:
    """Raise a UserError unless classes were given to a conditional network, and none to another."""
    if classes is None and y is not None:
        raise UserError(f"this {network} is unconditional: it takes no classes")
    if classes is not None and (y is None or y.dtype != torch.int64 or y.dim() != 1):
        got = "none" if y is None else f"{y.dtype} of shape {tuple(y.shape)}"
        raise UserError(f"this {network} takes a class for each row, int64 of shape (n,), but was given {got}")


def stage_names(prefix: str, count: int) -> dict[str, str]:
    """Short names of numbered submodules: {"1": "block1", "h1": "block1", ..., "4": "block4"} for "block" and 4."""
    return {f"{alias}{i}": f"{prefix}{i}" for i in range(1, count + 1) for alias in ("", "h")}
