"""The spectrally normalised DCGAN discriminator of Miyato et al. 2018 (arXiv 1802.05957, Table 3)."""

from typing import Literal

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from mmgan.discriminators.discriminator import Discriminator
from mmgan.networks.checks import require_positive, require_size
from mmgan.networks.initialisation import init_normal

_LADDER = (1, 2, 4)
_WIDTH = 64


class DCGANDiscriminator(Discriminator):
    """The DCGAN discriminator: three pairs of a 3x3 and a halving 4x4 convolution, then one 3x3, then a linear layer.

    A leaky ReLU of slope 0.1 follows each convolution. The table gives 32 and 48 pixels. The same layers fit other
    sizes: the linear layer sees (image_size / 8)^2 positions. Weights start normal with deviation 0.02, as
    in DCGAN (arXiv 1511.06434); the table does not state the initialisation.

    Args:
        image_size: a multiple of 16 from 16 to 256 pixels.
        channels: channels of the images.
        width: channels of the first pair. The later ones have 2, 4 and 8 times as many. Default: the table's 64.
        spectral: weights under spectral normalisation: "all" or "none".

    Attributes:
        stages: {"1": "block1", "h1": "block1", ..., "4": "block4"}: the three pairs and the last 3x3, each after its
            nonlinearity. Each runs once in a forward.
        image_size, channels: size and channels of the images that the network was built for.

    Raises:
        UserError: for an image size or a setting that does not fit.
    """

    def __init__(
        self, image_size: int, channels: int = 3, width: int | None = None, spectral: Literal["all", "none"] = "all"
    ) -> None:
        width = _WIDTH if width is None else width
        require_size("DCGAN discriminator", image_size)
        require_positive(channels=channels, width=width)
        super().__init__(image_size, channels, len(_LADDER) + 1)
        before = channels
        for i, step in enumerate(_LADDER, start=1):
            after = width * step
            keep = nn.Conv2d(before, after, kernel_size=3, padding=1)
            halve = nn.Conv2d(after, after, kernel_size=4, stride=2, padding=1)
            self.add_module(f"block{i}", nn.Sequential(keep, nn.LeakyReLU(0.1), halve, nn.LeakyReLU(0.1)))
            before = after
        last = width * 8
        self.block4 = nn.Sequential(nn.Conv2d(before, last, kernel_size=3, padding=1), nn.LeakyReLU(0.1))
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(last * (image_size // 8) ** 2, 1)
        for module in [m for m in self.modules() if isinstance(m, nn.Conv2d | nn.Linear)]:
            init_normal(module)
            if spectral == "all":
                spectral_norm(module)
