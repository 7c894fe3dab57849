"""Pictures of a GAN run that only its generator and its data can make, as the end of its training left them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mmgan.runs.folder import RunFolder

REAL, NEIGHBOURS, INTERPOLATION = KINDS = ("real", "neighbours", "interpolation")

NAME = re.compile(rf"step-(\d{{8,}})-({'|'.join(KINDS)})\.png")


@dataclass(frozen=True)
class Shown:
    """Pictures of one step.

    Attributes:
        step: of the generator; None: there are none.
        pictures: PNG by kind; each says in its Description what it shows.
        why: why there are none, as a sentence; "": there are some, or nothing is known.
    """

    step: int | None = None
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    why: str = ""


def read_shown(folder: RunFolder) -> Shown:
    """The pictures of the latest step that has some in the run folder."""
    found: dict[int, dict[str, bytes]] = {}
    for path in sorted(folder.samples.glob("step-*.png")):
        if (name := NAME.fullmatch(path.name)) is not None:
            found.setdefault(int(name[1]), {})[name[2]] = path.read_bytes()
    if not found:
        return Shown()
    step = max(found)
    return Shown(step, found[step])
