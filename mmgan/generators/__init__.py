"""Miyato's ResNet (unconditional or class-conditional) and DCGAN generators. Generators are never mixed."""

from typing import Literal

from mmgan.errors import UserError
from mmgan.generators.dcgan import DCGANGenerator
from mmgan.generators.generator import Generator
from mmgan.generators.resnet import ResNetGenerator
from mmgan.networks.checks import refuse_classes, require_one_of

__all__ = ["DCGANGenerator", "Generator", "ResNetGenerator", "build_generator"]


def build_generator(
    arch: Literal["resnet", "dcgan"],
    image_size: int,
    channels: int = 3,
    width: int | None = None,
    latent_dim: int = 128,
    shortcuts: Literal["learned", "nearest"] = "learned",
    classes: int | None = None,
) -> Generator:
    """Build the generator that matches `build_discriminator` of the same arch, image size and channels.

    The arguments are those of `ResNetGenerator` and `DCGANGenerator`. Only "resnet" takes `shortcuts` and `classes`.

    Raises:
        UserError: for an unknown arch, or a size or setting that does not fit it.
    """
    require_one_of("the generator", arch, ["resnet", "dcgan"])
    if arch == "resnet":
        return ResNetGenerator(image_size, channels, width, latent_dim, shortcuts, classes)
    refuse_classes(arch, classes)
    if shortcuts != "learned":
        raise UserError(f"shortcuts '{shortcuts}' is for the resnet generator: the dcgan generator has no shortcuts")
    return DCGANGenerator(image_size, channels, width, latent_dim)
