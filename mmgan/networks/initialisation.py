"""Layers with the initialisation and settings of the reference networks."""

from torch import nn


def glorot_conv(
    in_channels: int, out_channels: int, kernel_size: int, gain: float, kind: type[nn.Conv2d] = nn.Conv2d
) -> nn.Conv2d:
    """Build a size-keeping convolution with Glorot uniform weights of this gain and zero bias.

    `kind` may also be `HalvingConv` or `DoublingConv`.
    """
    conv = kind(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    nn.init.xavier_uniform_(conv.weight, gain)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def glorot_linear(in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    """Build a linear layer with Glorot uniform weights of gain 1 and zero bias."""
    linear = nn.Linear(in_features, out_features, bias)
    nn.init.xavier_uniform_(linear.weight)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


def glorot_embedding(count: int, features: int) -> nn.Embedding:
    """Build a table of `count` vectors with Glorot uniform weights of gain 1."""
    table = nn.Embedding(count, features)
    nn.init.xavier_uniform_(table.weight)
    return table


def init_normal(layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Draw weights from a normal distribution of deviation 0.02, as DCGAN (arXiv 1511.06434), and set biases to 0."""
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


def batch_norm(channels: int, affine: bool = True) -> nn.BatchNorm2d:
    """Build a BatchNorm with the reference's settings: Chainer's eps 2e-5 and decay 0.9 (momentum 0.1 in torch)."""
    return nn.BatchNorm2d(channels, eps=2e-5, momentum=0.1, affine=affine)
