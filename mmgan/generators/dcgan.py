"""The standard CNN generator of Miyato et al. 2018 (arXiv 1802.05957, Table 3)."""

from itertools import pairwise

from einops.layers.torch import Rearrange
from torch import nn

from mmgan.generators.generator import Generator
from mmgan.networks.checks import require_positive, require_size
from mmgan.networks.initialisation import batch_norm, init_normal

_LADDER = (8, 4, 2, 1)
_WIDTH = 64


class DCGANGenerator(Generator):
    """The standard CNN generator of Miyato et al. 2018, Table 3: three 4x4 transposed convolutions, then one 3x3.

    The table gives 32 and 48 pixels. The same layers fit other sizes: the linear layer yields a map of an eighth of the
    image's side. Weights start normal with deviation 0.02, as in DCGAN (arXiv 1511.06434); the table does not state the
    initialisation.

    Args:
        image_size: a multiple of 16 from 16 to 256 pixels.
        channels: channels of the images.
        width: channels before the last convolution. The linear layer yields 8 times as many. Default: the table's 64.
        latent_dim: length of a latent vector.

    Raises:
        UserError: for an image size or a setting that does not fit.
    """

    def __init__(self, image_size: int, channels: int = 3, width: int | None = None, latent_dim: int = 128) -> None:
        require_size("DCGAN generator", image_size)
        width = _WIDTH if width is None else width
        require_positive(channels=channels, width=width, latent_dim=latent_dim)
        super().__init__(latent_dim)
        side = image_size // 8
        widths = [width * step for step in _LADDER]
        self.linear = nn.Linear(latent_dim, widths[0] * side**2)
        self.to_map = Rearrange("n (c h w) -> n c h w", h=side, w=side)
        for i, (before, after) in enumerate(pairwise(widths), start=1):
            up = nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1)
            self.add_module(f"block{i}", nn.Sequential(up, batch_norm(after), nn.ReLU()))
        self.conv = nn.Conv2d(widths[-1], channels, kernel_size=3, padding=1)
        self.tanh = nn.Tanh()
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                init_normal(module)
