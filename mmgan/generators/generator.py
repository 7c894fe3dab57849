"""The base class of this project's generators."""

from jaxtyping import Float
from torch import Tensor, nn

from mmgan.errors import UserError


class Generator(nn.Sequential):
    """Map latents to images in [-1, 1]. The stages are submodules in order.

    Attributes:
        latent_dim: length of a latent vector.
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim

    def forward(self, z: Float[Tensor, "n z"]) -> Float[Tensor, "n c h w"]:
        """Map standard normal latents (n, latent_dim) to images (n, c, h, w) in [-1, 1].

        Raises:
            UserError: for latents of another shape.
        """
        if z.dim() != 2 or z.shape[1] != self.latent_dim:
            raise UserError(
                f"this generator takes latents of shape (n, {self.latent_dim}), but was given {tuple(z.shape)}"
            )
        images: Tensor = super().forward(z)  # type: ignore[no-untyped-call]
        return images
