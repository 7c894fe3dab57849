"""Miyato's SN-ResNet discriminators (arXiv 1802.05957, Appendix B), unconditional or with a projection of the class."""

from typing import Literal, NamedTuple

from einops.layers.torch import Reduce
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from mmgan.discriminators.blocks import Block, FirstBlock, Shortcuts, Spectral
from mmgan.discriminators.discriminator import Discriminator
from mmgan.errors import UserError
from mmgan.networks.checks import require_one_of, require_positive, require_size
from mmgan.networks.initialisation import glorot_embedding, glorot_linear


class DiscriminatorLadder(NamedTuple):
    channels: tuple[int, ...]  # after each block, in units of the width
    down: tuple[bool, ...]  # which blocks halve the side
    head_bias: bool
    width: int


def discriminator_ladder(image_size: int) -> DiscriminatorLadder:
    """The blocks for this image size: four up to 32, then five, six from 128 on where 32 divides it, seven at 256.

    All blocks halve but the last. Of five, the last halves too where the side before it is even. Of four, as many halve
    as leave a side of 8.
    """
    if image_size <= 32:
        return DiscriminatorLadder((1, 1, 1, 1), (True, image_size == 32, False, False), False, 128)
    if image_size == 256:
        return DiscriminatorLadder((1, 2, 4, 8, 8, 16, 16), (True,) * 6 + (False,), True, 64)
    if image_size >= 128 and image_size % 32 == 0:
        return DiscriminatorLadder((1, 2, 4, 8, 16, 16), (True,) * 5 + (False,), True, 64)
    return DiscriminatorLadder((1, 2, 4, 8, 16), (True,) * 4 + (image_size % 32 == 0,), True, 64)


class ResNetDiscriminator(Discriminator):
    """The ResNet discriminator of Miyato et al. 2018: blocks, ReLU, global pooling, linear layer.

    The blocks follow Table 4 at 32 pixels, Table 5 at 48, Table 6 at 128 and the authors' code at 64 and 256. In that
    code the linear layer has no bias at 32 pixels and has one above. The same holds here. At 16 pixels it is the
    network for 32 without the second halving, so the pooling sums the same 8x8 positions. Other sizes follow
    `discriminator_ladder`. It has 1,053,824 parameters at 32x32 RGB with the defaults.

    With `classes` it is the projection discriminator of Miyato and Koyama 2018 (arXiv 1802.05637, Equation 4): the
    logit of features h and class y is linear(h) + <embed(y), h>. The embedding is spectrally normalised like all
    weights.

    Args:
        image_size: a multiple of 16 from 16 to 256 pixels.
        channels: channels of the images.
        width: channels after the first block. Later blocks have multiples of it. Default: the reference's 128 at 16
            and 32 pixels, and 64 above.
        pool: "sum" as in the reference, or "mean" as in the released code of Manifold Mixup.
        spectral: weights under spectral normalisation: "all" as in the reference; "partial" leaves out the shortcuts
            of blocks that keep the size, as in the released code of Manifold Mixup; or "none".
        shortcuts: blocks with a 1x1 convolution in their shortcut: "needed" where shapes differ, as in the reference;
            or "all" as in the released code of Manifold Mixup.
        classes: number of classes. None: the network is unconditional.

    Attributes:
        stages: {"1": "block1", "h1": "block1", "2": "block2", ...}. Each runs once in a forward. The module "embed"
            may be part of a layer: "1+embed".
        image_size, channels, classes: what the network was built for.

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
        classes: int | None = None,
    ) -> None:
        require_size("ResNet discriminator", image_size)
        ladder = discriminator_ladder(image_size)
        width = ladder.width if width is None else width
        require_positive(channels=channels, width=width)
        require_one_of("pool", pool, ["sum", "mean"])
        widths = [width * step for step in ladder.channels]
        super().__init__(image_size, channels, len(widths), classes)
        self.block1 = FirstBlock(channels, widths[0], spectral)
        for i in range(1, len(widths)):
            block = Block(widths[i - 1], widths[i], ladder.down[i], spectral, shortcuts)
            self.add_module(f"block{i + 1}", block)
        self.relu = nn.ReLU()
        self.pool = Reduce("n c h w -> n c", pool)
        linear = glorot_linear(widths[-1], 1, ladder.head_bias)
        self.linear = linear if spectral == "none" else spectral_norm(linear)
        if classes is not None:
            embedding = glorot_embedding(classes, widths[-1])
            self.embed = embedding if spectral == "none" else spectral_norm(embedding)

    def forward(self, x: Float[Tensor, "n c h w"], y: Int64[Tensor, " n"] | None = None) -> Float[Tensor, " n"]:
        """As the base class; with `classes`, the logits of images x being real images of the classes y."""
        if self.classes is None:
            return super().forward(x, y)
        self.check(x, y)
        h = x
        for name, stage in self.named_children():
            if name == "linear":
                break
            h = stage(h)  # in the end (n, c)
        embedded = self.embed(y)  # (n, c)
        if len(embedded) != len(h):
            raise UserError(f"this discriminator was given {len(h)} images and {len(embedded)} classes")
        logits: Tensor = self.linear(h).squeeze(1) + (embedded * h).sum(1)  # (n,)
        return logits
