"""The base class of this project's discriminators."""

from jaxtyping import Float
from torch import Tensor, nn

from mmgan.errors import UserError
from mmgan.networks.checks import stage_names


class Discriminator(nn.Sequential):
    """Map images to logits. The stages are submodules in order.

    Attributes:
        stages: short names of the blocks' outputs. Each runs once in a forward.
        image_size, channels: size and channels of the images that the network was built for.
    """

    def __init__(self, image_size: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.channels = channels
        self.stages = stage_names("block", blocks)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """Return the logits of images in [-1, 1]. A larger logit means more real.

        Raises:
            UserError: for images of another shape or type than the network was built for.
        """
        shape = (self.channels, self.image_size, self.image_size)
        if tuple(x.shape[1:]) != shape or not x.is_floating_point():
            raise UserError(
                f"this discriminator was built for float images of shape (n, {', '.join(map(str, shape))}),"
                f" but was given {x.dtype} of shape {tuple(x.shape)}"
            )
        logits: Tensor = super().forward(x)  # type: ignore[no-untyped-call]  # (n, 1)
        return logits.squeeze(1)  # (n,)
