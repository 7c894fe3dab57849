"""What the residual classifiers share: named stages in their order, pooling, a linear map, and the input check."""

from jaxtyping import Float
from torch import Tensor, nn

from mmgan.errors import UserError


def conv(in_channels: int, out_channels: int, kernel_size: int, stride: int, bias: bool = False) -> nn.Conv2d:
    """A convolution that keeps the size but for its stride."""
    kind = StridedPointwise if kernel_size == 1 else nn.Conv2d
    return kind(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=bias)


class StridedPointwise(nn.Conv2d):
    """A 1x1 convolution that picks its positions first: (n, c, h, w) -> (n, d, ceil(h/stride), ceil(w/stride)).

    What nn.Conv2d computes. But oneDNN 3.13 (torch 2.15 on CPUs) writes past its memory in the weight gradient of a
    strided 1x1 convolution in channels_last with at most 8 channels in and 16 out at 48x48 and more, and the process
    dies.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        picked = x[:, :, :: self.stride[0], :: self.stride[1]]  # (n, c, ceil(h/stride), ceil(w/stride))
        return nn.functional.conv2d(picked, self.weight, self.bias)


class StagedClassifier(nn.Sequential):
    """Images in, logits out. The stages are submodules in their order; the last one is the linear map.

    Attributes:
        stages: short names of the stages and of the pooled features.
        channels: of the images that the network was built for.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.stages: dict[str, str] = {}

    def add_head(self, features: int, num_classes: int, stages: int) -> None:
        """Close the network after its last convolution: pool any size to one position, then classify."""
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())  # (n, c, h, w) -> (n, c)
        self.linear = nn.Linear(features, num_classes)
        self.stages = {f"{alias}{i}": f"stage{i}" for i in range(1, stages + 1) for alias in ("", "h")}
        self.stages["features"] = "pool"

    def features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """The pooled features before the linear map, of images in [-1, 1].

        Raises:
            UserError: for images of another number of channels or type than the network was built for.
        """
        if x.dim() != 4 or x.shape[1] != self.channels or not x.is_floating_point():
            raise UserError(
                f"this classifier was built for float images of shape (n, {self.channels}, h, w),"
                f" but was given {x.dtype} of shape {tuple(x.shape)}"
            )
        h = x
        for stage in list(self)[:-1]:
            h = stage(h)
        return h

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Logits of images in [-1, 1]; raises what `features` raises."""
        logits: Tensor = self.linear(self.features(x))  # (n, classes)
        return logits
