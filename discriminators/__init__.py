"""Miyato's SN-ResNet (unconditional or with projection) and SN-DCGAN discriminators. They do not know about mixing."""

from typing import Literal

from mmgan.discriminators.blocks import Shortcuts, Spectral
from mmgan.discriminators.dcgan import DCGANDiscriminator
from mmgan.discriminators.resnet import ResNetDiscriminator
from mmgan.errors import UserError
from mmgan.networks.checks import refuse_classes, require_one_of

__all__ = ["DCGANDiscriminator", "ResNetDiscriminator", "build_discriminator"]


def build_discriminator(
    arch: Literal["resnet", "dcgan"],
    image_size: int,
    channels: int = 3,
    width: int | None = None,
    pool: Literal["sum", "mean"] = "sum",
    spectral: Spectral = "all",
    shortcuts: Shortcuts = "needed",
    classes: int | None = None,
) -> ResNetDiscriminator | DCGANDiscriminator:
    """Build the discriminator of this architecture for images (n, channels, image_size, image_size).

    The arguments are those of `ResNetDiscriminator` and `DCGANDiscriminator`. Only "resnet" takes `pool`, `shortcuts`,
    `classes` and spectral "partial".

    Raises:
        UserError: for an unknown arch, or a size or setting that does not fit it.
    """
    require_one_of("the discriminator", arch, ["resnet", "dcgan"])
    require_one_of("spectral", spectral, ["all", "partial", "none"])
    require_one_of("shortcuts", shortcuts, ["needed", "all"])
    if arch == "resnet":
        return ResNetDiscriminator(image_size, channels, width, pool, spectral, shortcuts, classes)
    refuse_classes(arch, classes)
    if pool != "sum" or shortcuts != "needed" or spectral == "partial":
        raise UserError("pool, shortcuts and spectral 'partial' are for the resnet discriminator, not for dcgan")
    return DCGANDiscriminator(image_size, channels, width, spectral)
