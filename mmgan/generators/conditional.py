"""Class-conditional BatchNorm (arXiv 1610.07629), as in github.com/pfnet-research/sngan_projection."""

from jaxtyping import Float, Int64
from torch import Tensor, nn

from mmgan.networks.initialisation import batch_norm


class ConditionalBatchNorm(nn.Module):
    """A BatchNorm whose scale and shift are those of each row's class. The statistics are of all rows together.

    (n, channels, h, w) and classes (n,) -> (n, channels, h, w). Scales start at 1, shifts at 0.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = batch_norm(channels, affine=False)
        self.scale = nn.Embedding(classes, channels)
        self.shift = nn.Embedding(classes, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Float[Tensor, "n c h w"], y: Int64[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
        scale, shift = (table(y)[:, :, None, None] for table in (self.scale, self.shift))  # (n, c, 1, 1)
        out: Tensor = self.norm(x) * scale + shift  # (n, c, h, w)
        return out
