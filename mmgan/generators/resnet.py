"""Miyato's ResNet generators (arXiv 1802.05957, Appendix B), unconditional or with class-conditional BatchNorm."""

from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from einops.layers.torch import Rearrange
from jaxtyping import Float, Int64
from torch import Tensor, nn

from mmgan.errors import UserError
from mmgan.generators.conditional import ConditionalBatchNorm
from mmgan.generators.generator import Generator
from mmgan.networks.checks import require_one_of, require_positive, require_size
from mmgan.networks.initialisation import batch_norm, glorot_conv, glorot_linear
from mmgan.networks.rescaling import DoublingConv

# Number of doublings -> channels of the first feature map and after each doubling, in units of the width.
_CHANNELS = {
    3: (8, 4, 2, 1),
    4: (16, 8, 4, 2, 1),
    5: (16, 16, 8, 4, 2, 1),
    6: (16, 16, 8, 8, 4, 2, 1),
}


class GeneratorLadder(NamedTuple):
    side: int  # of the first feature map
    channels: tuple[int, ...]  # of that map and after each doubling, in units of the width
    width: int


def generator_ladder(image_size: int) -> GeneratorLadder:
    """The blocks for this image size: as many doublings as leave a first feature map of side 4 or more."""
    doublings = max(k for k in range(2, 7) if image_size % 2**k == 0 and image_size >= 4 * 2**k)
    small = image_size <= 32
    channels = (1,) * (doublings + 1) if small else _CHANNELS[doublings]
    return GeneratorLadder(image_size // 2**doublings, channels, 256 if small else 64)


class UpBlock(nn.Module):
    """A residual block that doubles the side. Branch: BN, ReLU, nearest upsampling, 3x3, BN, ReLU, 3x3.

    (n, in_channels, h, w) -> (n, out_channels, 2h, 2w). The shortcut is a nearest upsampling, followed by a 1x1
    convolution if `learned`. With `classes` both BatchNorms have a scale and a shift for each class.
    """

    def __init__(self, in_channels: int, out_channels: int, learned: bool, classes: int | None = None) -> None:
        super().__init__()
        self.bn1 = _norm(in_channels, classes)
        self.conv1 = glorot_conv(in_channels, out_channels, 3, gain=2**0.5, kind=DoublingConv)
        self.bn2 = _norm(out_channels, classes)
        self.conv2 = glorot_conv(out_channels, out_channels, 3, gain=2**0.5)
        self.shortcut = (
            glorot_conv(in_channels, out_channels, 1, gain=1.0, kind=DoublingConv)
            if learned
            else nn.Upsample(scale_factor=2, mode="nearest")
        )

    def forward(self, x: Float[Tensor, "n c h w"], *y: Int64[Tensor, " n"]) -> Float[Tensor, "n d h2 w2"]:
        h = self.conv1(torch.relu(self.bn1(x, *y)))  # (n, d, 2h, 2w)
        h = self.conv2(torch.relu(self.bn2(h, *y)))
        out: Tensor = h + self.shortcut(x)  # (n, d, 2h, 2w)
        return out


class ResNetGenerator(Generator):
    """The ResNet generator of Miyato et al. 2018, Tables 4 (32 pixels), 5 (48) and 6 (128).

    At 64 and 256 pixels it follows the authors' code. At 16 pixels it is the network for 32 with one block less. Other
    sizes have as many blocks as leave a first feature map of side 4 or more, and the channels of the reference with so
    many blocks. It has 4,276,739 parameters at 32x32 RGB with the defaults.

    With `classes` the BatchNorms of the blocks are conditional on the class, as in the generator of Miyato and Koyama
    2018 (arXiv 1802.05637; github.com/pfnet-research/sngan_projection). The last BatchNorm is not.

    Args:
        image_size: a multiple of 16 from 16 to 256 pixels.
        channels: channels of the images.
        width: channels after the last block. Earlier blocks have multiples of it. Default: the reference's 256 at 16
            and 32 pixels, and 64 above.
        latent_dim: length of a latent vector. The released code of Manifold Mixup has 62, and width 128.
        shortcuts: "learned" has a 1x1 convolution in every shortcut, as in the reference. "nearest" only upsamples, as
            in the released code of Manifold Mixup; it needs the same width in all blocks (16 or 32 pixels).
        classes: number of classes that images are generated of. None: the network is unconditional.

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
        classes: int | None = None,
    ) -> None:
        require_size("ResNet generator", image_size)
        side, ladder, reference_width = generator_ladder(image_size)
        width = reference_width if width is None else width
        require_positive(channels=channels, width=width, latent_dim=latent_dim)
        require_one_of("shortcuts", shortcuts, ["learned", "nearest"])
        if shortcuts == "nearest" and len(set(ladder)) > 1:
            raise UserError(f"shortcuts 'nearest' need one width throughout: choose 16 or 32 pixels, not {image_size}")
        super().__init__(latent_dim, classes)
        widths = [width * step for step in ladder]
        self.linear = glorot_linear(latent_dim, widths[0] * side**2)
        self.to_map = Rearrange("n (c h w) -> n c h w", h=side, w=side)
        for i, (before, after) in enumerate(pairwise(widths), start=1):
            self.add_module(f"block{i}", UpBlock(before, after, shortcuts == "learned", classes))
        self.bn = batch_norm(widths[-1])
        self.relu = nn.ReLU()
        self.conv = glorot_conv(widths[-1], channels, 3, gain=1.0)
        self.tanh = nn.Tanh()


def _norm(channels: int, classes: int | None) -> nn.Module:
    return batch_norm(channels) if classes is None else ConditionalBatchNorm(channels, classes)
