"""Miyato's ResNet generators (arXiv 1802.05957, Appendix B)."""

from itertools import pairwise
from typing import Literal

import torch
from einops.layers.torch import Rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mmgan.errors import UserError
from mmgan.generators.generator import Generator
from mmgan.networks.checks import require_one_of, require_positive, require_size
from mmgan.networks.initialisation import batch_norm, glorot_conv, glorot_linear
from mmgan.networks.rescaling import DoublingConv

# image size -> (side of the first feature map, channels there and after each doubling in units of the width, the width)
_LADDERS: dict[int, tuple[int, tuple[int, ...], int]] = {
    16: (4, (1, 1, 1), 256),
    32: (4, (1, 1, 1, 1), 256),
    48: (6, (8, 4, 2, 1), 64),
    64: (4, (16, 8, 4, 2, 1), 64),
    128: (4, (16, 16, 8, 4, 2, 1), 64),
}


class UpBlock(nn.Module):
    """A residual block that doubles the side. Branch: BN, ReLU, nearest upsampling, 3x3, BN, ReLU, 3x3.

    (n, in_channels, h, w) -> (n, out_channels, 2h, 2w). The shortcut is a nearest upsampling, followed by a 1x1
    convolution if `learned`.
    """

    def __init__(self, in_channels: int, out_channels: int, learned: bool) -> None:
        super().__init__()
        self.bn1 = batch_norm(in_channels)
        self.conv1 = glorot_conv(in_channels, out_channels, 3, gain=2**0.5, kind=DoublingConv)
        self.bn2 = batch_norm(out_channels)
        self.conv2 = glorot_conv(out_channels, out_channels, 3, gain=2**0.5)
        self.shortcut = (
            glorot_conv(in_channels, out_channels, 1, gain=1.0, kind=DoublingConv)
            if learned
            else nn.Upsample(scale_factor=2, mode="nearest")
        )

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        h = self.conv1(torch.relu(self.bn1(x)))  # (n, d, 2h, 2w)
        h = self.conv2(torch.relu(self.bn2(h)))
        out: Tensor = h + self.shortcut(x)  # (n, d, 2h, 2w)
        return out


class ResNetGenerator(Generator):
    """The ResNet generator of Miyato et al. 2018, Tables 4 (32 pixels), 5 (48) and 6 (128).

    At 64 pixels it follows the authors' code. At 16 pixels it is the network for 32 with one block less. It has
    4,276,739 parameters at 32x32 RGB with the defaults.

    Args:
        image_size: 16, 32, 48, 64 or 128 pixels.
        channels: channels of the images.
        width: channels after the last block. Earlier blocks have multiples of it. Default: the reference's 256 at 16
            and 32 pixels, and 64 above.
        latent_dim: length of a latent vector. The released code of Manifold Mixup has 62, and width 128.
        shortcuts: "learned" has a 1x1 convolution in every shortcut, as in the reference. "nearest" only upsamples, as
            in the released code of Manifold Mixup; it needs the same width in all blocks (16 or 32 pixels).

    Raises:
        UserError: for an image size or a setting that does not fit.
    """

    def __init__(
        self,
        image_size: int,
        channels: int = 3,
        width: int | None = None,
        latent_dim: int = 128,
        shortcuts: Literal["learned", "nearest"] = "learned",
    ) -> None:
        require_size("ResNet generator", image_size, _LADDERS)
        side, ladder, reference_width = _LADDERS[image_size]
        width = reference_width if width is None else width
        require_positive(channels=channels, width=width, latent_dim=latent_dim)
        require_one_of("shortcuts", shortcuts, ["learned", "nearest"])
        if shortcuts == "nearest" and len(set(ladder)) > 1:
            raise UserError(f"shortcuts 'nearest' need one width throughout: choose 16 or 32 pixels, not {image_size}")
        super().__init__(latent_dim)
        widths = [width * step for step in ladder]
        self.linear = glorot_linear(latent_dim, widths[0] * side**2)
        self.to_map = Rearrange("n (c h w) -> n c h w", h=side, w=side)
        for i, (before, after) in enumerate(pairwise(widths), start=1):
            self.add_module(f"block{i}", UpBlock(before, after, learned=shortcuts == "learned"))
        self.bn = batch_norm(widths[-1])
        self.relu = nn.ReLU()
        self.conv = glorot_conv(widths[-1], channels, 3, gain=1.0)
        self.tanh = nn.Tanh()
