"""Initialisation, BatchNorm and checks of sizes that the networks share."""

from collections.abc import Iterable

from torch import nn

from mmgan.errors import UserError


def glorot_conv(
    in_channels: int, out_channels: int, kernel_size: int, gain: float, kind: type[nn.Conv2d] = nn.Conv2d
) -> nn.Conv2d:
    """A size-keeping convolution, or a `HalvingConv` or `DoublingConv`, with Glorot uniform weights of this gain and
    zero bias."""
    conv = kind(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    nn.init.xavier_uniform_(conv.weight, gain)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def glorot_linear(in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    """A linear map with Glorot uniform weights of gain 1 and zero bias."""
    linear = nn.Linear(in_features, out_features, bias)
    nn.init.xavier_uniform_(linear.weight)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """BatchNorm as in the reference, which keeps Chainer's eps of 2e-5 and decay of 0.9: momentum 0.1 in torch."""
    return nn.BatchNorm2d(channels, eps=2e-5, momentum=0.1)


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
