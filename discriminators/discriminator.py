"""The base class of this project's discriminators."""

from jaxtyping import Float, Int64
from torch import Tensor, nn

from mmgan.errors import UserError
from mmgan.networks.checks import require_classes, stage_names


class Discriminator(nn.Sequential):
    """Map images to logits. The stages are submodules in order.

    Attributes:
        stages: short names of the blocks' outputs. Each runs once in a forward.
        image_size, channels: size and channels of the images that the network was built for.
        classes: number of classes of a conditional network; None: it is unconditional.
    """

    def __init__(self, image_size: int, channels: int, blocks: int, classes: int | None = None) -> None:
        super().__init__()
        self.image_size = image_size
        self.channels = channels
        self.classes = classes
        self.stages = stage_names("block", blocks)

    def forward(self, x: Float[Tensor, "n c h w"], y: Int64[Tensor, " n"] | None = None) -> Float[Tensor, " n"]:
        """Return the logits of images in [-1, 1]. A larger logit means more real.

        Args:
            x: the images.
            y: their classes, where the network is conditional; else None.

        Raises:
            UserError: for images of another shape or type than the network was built for, and for classes that are
                missing or that the network does not take.
        """
        self.check(x, y)
        logits: Tensor = super().forward(x)  # type: ignore[no-untyped-call]  # (n, 1)
        return logits.squeeze(1)  # (n,)

    def check(self, x: Tensor, y: Tensor | None) -> None:
        """Refuse what `forward` does not take."""
        shape = (self.channels, self.image_size, self.image_size)
        if tuple(x.shape[1:]) != shape or not x.is_floating_point():
            raise UserError(
                f"this discriminator was built for float images of shape (n, {', '.join(map(str, shape))}),"
                f" but was given {x.dtype} of shape {tuple(x.shape)}"
            )
        require_classes("discriminator", self.classes, y)
