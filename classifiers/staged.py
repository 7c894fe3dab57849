"""The base of the residual classifiers: named stages in order, pooling, a linear layer and the input check."""

from jaxtyping import Float
from torch import Tensor, nn

from mmgan.errors import UserError
from mmgan.networks.checks import stage_names
from mmgan.networks.rescaling import StridedPointwise


def conv(in_channels: int, out_channels: int, kernel_size: int, stride: int, bias: bool = False) -> nn.Conv2d:
    """Build a convolution that keeps the size, divided by its stride."""
    kind = StridedPointwise if kernel_size == 1 else nn.Conv2d
    return kind(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=bias)


class StagedClassifier(nn.Sequential):
    """Map images to logits. The stages are submodules in order, and the last one is the linear layer.

    Attributes:
        stages: short names of the stages and of the pooled features.
        channels: channels of the images that the network was built for.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def add_head(self, features: int, num_classes: int, stages: int) -> None:
        """Add the head after the last convolution: pool any size to one position, then classify."""
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())  # (n, c, h, w) -> (n, c)
        self.linear = nn.Linear(features, num_classes)
        self.stages = stage_names("stage", stages) | {"features": "pool"}

    def features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """Return the pooled features before the linear layer, for images in [-1, 1].

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
        """Return the logits of images in [-1, 1]. Raises the errors of `features`."""
        logits: Tensor = self.linear(self.features(x))  # (n, classes)
        return logits
