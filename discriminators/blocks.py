"""Residual blocks of Miyato's discriminators (arXiv 1802.05957, Figure 8 and the authors' code)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from mmgan.networks.initialisation import glorot_conv
from mmgan.networks.rescaling import HalvingConv

# Which weights are spectrally normalised. "partial" leaves out the shortcuts of blocks that keep the size.
Spectral = Literal["all", "partial", "none"]
# Which blocks have a 1x1 convolution in their shortcut: those where shapes differ, or all.
Shortcuts = Literal["needed", "all"]


class FirstBlock(nn.Module):
    """The first residual block. Branch: 3x3, ReLU, 3x3, halve. Shortcut: halve, 1x1.

    (n, in_channels, h, w) -> (n, out_channels, h/2, w/2). There is no activation on the raw image, and the shortcut
    halves first.
    """

    def __init__(self, in_channels: int, out_channels: int, spectral: Spectral) -> None:
        super().__init__()
        normalise = spectral != "none"
        self.conv1 = _conv(in_channels, out_channels, 3, 2**0.5, normalise)
        self.conv2 = _conv(out_channels, out_channels, 3, 2**0.5, normalise, HalvingConv)
        self.shortcut = _conv(in_channels, out_channels, 1, 1.0, normalise, HalvingConv)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        h = torch.relu(self.conv1(x))  # (n, d, h, w)
        out: Tensor = self.conv2(h) + self.shortcut(x)  # (n, d, h/2, w/2)
        return out


class Block(nn.Module):
    """A later residual block. Branch: ReLU, 3x3, ReLU, 3x3.

    (n, in_channels, h, w) -> (n, out_channels, h', w'). If `down`, branch and shortcut halve after their convolutions.
    The first convolution keeps the number of channels, as in the authors' code. The shortcut is a 1x1 convolution where
    shapes differ or `shortcuts` is "all", else the identity.
    """

    def __init__(
        self, in_channels: int, out_channels: int, down: bool, spectral: Spectral, shortcuts: Shortcuts
    ) -> None:
        super().__init__()
        normalise = spectral != "none"
        self.conv1 = _conv(in_channels, in_channels, 3, 2**0.5, normalise)
        kind = HalvingConv if down else nn.Conv2d
        self.conv2 = _conv(in_channels, out_channels, 3, 2**0.5, normalise, kind)
        if down or in_channels != out_channels or shortcuts == "all":
            normalise_shortcut = spectral == "all" or (spectral == "partial" and down)
            self.shortcut = _conv(in_channels, out_channels, 1, 1.0, normalise_shortcut, kind)
        else:
            self.shortcut = nn.Identity()

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        h = self.conv1(torch.relu(x))  # (n, c, h, w)
        out: Tensor = self.conv2(torch.relu(h)) + self.shortcut(x)  # (n, d, h', w')
        return out


def _conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    gain: float,
    normalise: bool,
    kind: type[nn.Conv2d] = nn.Conv2d,
) -> nn.Module:
    conv = glorot_conv(in_channels, out_channels, kernel_size, gain, kind)
    return spectral_norm(conv) if normalise else conv
