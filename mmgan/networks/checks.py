"""Checks of settings and inputs that the networks share."""

from collections.abc import Iterable

from torch import Tensor

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


def require_images(x: Tensor, channels: int, image_size: int) -> None:
    """Raise a UserError unless x holds floating-point images (n, channels, image_size, image_size)."""
    if tuple(x.shape[1:]) != (channels, image_size, image_size) or not x.is_floating_point():
        raise UserError(
            f"this discriminator was built for float images of shape (n, {channels}, {image_size}, {image_size}),"
            f" but was given {x.dtype} of shape {tuple(x.shape)}"
        )
