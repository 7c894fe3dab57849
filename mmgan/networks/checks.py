"""What every discriminator asks of its input."""

from torch import Tensor

from mmgan.errors import UserError


def require_images(x: Tensor, channels: int, image_size: int) -> None:
    """Raise a UserError unless x holds floating-point images (n, channels, image_size, image_size)."""
    if tuple(x.shape[1:]) != (channels, image_size, image_size) or not x.is_floating_point():
        raise UserError(
            f"this discriminator was built for float images of shape (n, {channels}, {image_size}, {image_size}),"
            f" but was given {x.dtype} of shape {tuple(x.shape)}"
        )
