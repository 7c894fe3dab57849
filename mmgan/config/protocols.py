"""Scoring protocols by name: which real images, how many of them, how many samples.

Numbers of two protocols cannot be compared: on CIFAR-10 the same SNGAN has an FID of 21.7 with 10,000 real images and
5,000 samples, and of about 15 with 50,000 of each.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mmgan.errors import UserError

CUSTOM = "custom"

ProtocolName = Literal["custom", "train-50k", "test-10k", "miyato-10k-5k"]

Resize = Literal["tf1", "clean", "pillow-bicubic"]


@dataclass(frozen=True)
class Protocol:
    """What a named protocol decides, under the names of the settings. Images are resized as the extractor's are."""

    real_split: str
    real_images: int
    score_samples: int
    is_splits: int


PROTOCOLS: Mapping[str, Protocol] = {
    "train-50k": Protocol("train", 50_000, 50_000, 10),  # StyleGAN2-ADA, StudioGAN, mimicry's 50k
    "test-10k": Protocol("test", 10_000, 10_000, 10),  # DiffAugment
    "miyato-10k-5k": Protocol("train", 10_000, 5_000, 1),  # SNGAN, Appendix B.1; one set of 5,000 images for IS
}


def follow_protocol(name: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a protocol decides.

    Args:
        name: of the protocol.
        given: the settings of a run, by name.
        defaults: their values where nobody chose one.

    Raises:
        UserError: for a setting that was chosen and is not the protocol's.
    """
    if name == CUSTOM:
        return {}
    wanted = asdict(PROTOCOLS[name])
    for setting, value in wanted.items():
        if given[setting] not in (value, defaults[setting]):
            flag = f"--{setting.replace('_', '-')}"
            raise UserError(
                f"{flag} {given[setting]} is not --protocol {name}, which has {value}: leave {flag} out, also of the"
                f" config file, set it to {value}, or choose --protocol {CUSTOM}"
            )
    if given["resize"] is not None:
        raise UserError(
            f"--protocol {name} resizes as the extractor is published: leave out --resize {given['resize']}"
        )
    return wanted
