"""Miyato's SN-ResNet discriminators (arXiv 1802.05957, Appendix B)."""

from typing import Literal, NamedTuple

from einops.layers.torch import Reduce
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from mmgan.discriminators.blocks import Block, FirstBlock, Shortcuts, Spectral
from mmgan.discriminators.discriminator import Discriminator
from mmgan.networks.checks import require_one_of, require_positive, require_size
from mmgan.networks.initialisation import glorot_linear


class _Ladder(NamedTuple):
    channels: tuple[int, ...]  # after each block, in units of the width
    down: tuple[bool, ...]  # which blocks halve the side
    head_bias: bool
    width: int


_LADDERS = {
    16: _Ladder((1, 1, 1, 1), (True, False, False, False), False, 128),
    32: _Ladder((1, 1, 1, 1), (True, True, False, False), False, 128),
    48: _Ladder((1, 2, 4, 8, 16), (True, True, True, True, False), True, 64),
    64: _Ladder((1, 2, 4, 8, 16), (True, True, True, True, True), True, 64),
    128: _Ladder((1, 2, 4, 8, 16, 16), (True, True, True, True, True, False), True, 64),
}


class ResNetDiscriminator(Discriminator):
    """The ResNet discriminator of Miyato et al. 2018: blocks, ReLU, global pooling, linear layer.

    The blocks follow Table 4 at 32 pixels, Table 5 at 48, Table 6 at 128 and the authors' code at 64. In that code the
    linear layer has no bias at 32 pixels and has one at 64 and 128. The same holds here, and 48 has one too. At 16
    pixels it is the network for 32 without the second halving, so the pooling sums the same 8x8 positions. It has
    1,053,824 parameters at 32x32 RGB with the defaults.

    Args:
        image_size: 16, 32, 48, 64 or 128 pixels.
        channels: channels of the images.
        width: channels after the first block. Later blocks have multiples of it. Default: the reference's 128 at 16
            and 32 pixels, and 64 above.
        pool: "sum" as in the reference, or "mean" as in the released code of Manifold Mixup.
        spectral: weights under spectral normalisation: "all" as in the reference; "partial" leaves out the shortcuts
            of blocks that keep the size, as in the released code of Manifold Mixup; or "none".
        shortcuts: blocks with a 1x1 convolution in their shortcut: "needed" where shapes differ, as in the reference;
            or "all" as in the released code of Manifold Mixup.

    Attributes:
        stages: {"1": "block1", "h1": "block1", "2": "block2", ...}. Each runs once in a forward.
        image_size, channels: size and channels of the images that the network was built for.

    Raises:
        UserError: for an image size or a setting that does not fit.
    """

    def __init__(
        self,
        image_size: int,
        channels: int = 3,
        width: int | None = None,
        pool: Literal["sum", "mean"] = "sum",
        spectral: Spectral = "all",
        shortcuts: Shortcuts = "needed",
    ) -> None:
        require_size("ResNet discriminator", image_size, _LADDERS)
        ladder = _LADDERS[image_size]
        width = ladder.width if width is None else width
        require_positive(channels=channels, width=width)
        require_one_of("pool", pool, ["sum", "mean"])
        widths = [width * step for step in ladder.channels]
        super().__init__(image_size, channels, len(widths))
        self.block1 = FirstBlock(channels, widths[0], spectral)
        for i in range(1, len(widths)):
            block = Block(widths[i - 1], widths[i], ladder.down[i], spectral, shortcuts)
            self.add_module(f"block{i + 1}", block)
        self.relu = nn.ReLU()
        self.pool = Reduce("n c h w -> n c", pool)
        linear = glorot_linear(widths[-1], 1, ladder.head_bias)
        self.linear = linear if spectral == "none" else spectral_norm(linear)
