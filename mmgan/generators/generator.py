"""The base class of this project's generators."""

from jaxtyping import Float, Int64
from torch import Tensor, nn

from mmgan.errors import UserError
from mmgan.networks.checks import require_classes


class Generator(nn.Sequential):
    """Map latents to images in [-1, 1]. The stages are submodules in order.

    Attributes:
        latent_dim: length of a latent vector.
        classes: number of classes that images are generated of; None: the network is unconditional.
    """

    def __init__(self, latent_dim: int, classes: int | None = None) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.classes = classes

    def forward(self, z: Float[Tensor, "n z"], y: Int64[Tensor, " n"] | None = None) -> Float[Tensor, "n c h w"]:
        """Map standard normal latents (n, latent_dim) to images (n, c, h, w) in [-1, 1].

        Args:
            z: the latents.
            y: the classes of the images, where the network is conditional; else None.

        Raises:
            UserError: for latents of another shape, and for classes that are missing or that the network does not take.
        """
        if z.dim() != 2 or z.shape[1] != self.latent_dim:
            raise UserError(
                f"this generator takes latents of shape (n, {self.latent_dim}), but was given {tuple(z.shape)}"
            )
        require_classes("generator", self.classes, y)
        if y is not None and len(y) != len(z):
            raise UserError(f"this generator was given {len(z)} latents and {len(y)} classes")
        if y is None:
            images: Tensor = super().forward(z)  # type: ignore[no-untyped-call]
            return images
        h = z
        for name, stage in self.named_children():
            h = stage(h, y) if name.startswith("block") else stage(h)
        return h
