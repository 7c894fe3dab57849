"""What a run says of itself at its start and at its end, in the words that both trainers share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from accelerate import Accelerator

from mmgan.config.shared import RunSettings
from mmgan.data import Images
from mmgan.process.accelerator import where
from mmgan.runs.folder import RunFolder


class MixSettings(Protocol):
    """What the mixing settings of both trainers have."""

    @property
    def mix(self) -> str: ...
    @property
    def lam(self) -> str: ...
    @property
    def alpha(self) -> float: ...


def mixing(mix: MixSettings) -> str:
    """The layers that are mixed and the law of lam."""
    if mix.mix == "none":
        return "mixing: none (the baseline)"
    return f"mixing: layers {mix.mix}, lam ~ {mix.lam}, alpha {mix.alpha:g}"


def opening(
    data: str, images: Images, mix: MixSettings, folder: RunFolder, accelerator: Accelerator, hint: str | None
) -> list[str]:
    """The lines at the start of a run.

    Args:
        data: which images and how many.
        images: the training images.
        mix: the mixing settings.
        folder: the run's.
        accelerator: the run's.
        hint: a line before all others, where there is something to point out.
    """
    _, channels, height, width = images.pixels.shape
    lines = [] if hint is None else [hint]
    lines.append(f"{images.name}: {data} of {width}x{height}, {'grey' if channels == 1 else 'RGB'}")
    if images.skipped:
        lines.append(f"skipped {images.skipped} files that cannot be read as images")
    return [*lines, f"{mixing(mix)}; on {where(accelerator)}; writing to {folder.path}"]


def default_hint(source: str | None, run: RunSettings, default: str, paper: str) -> str | None:
    """The line that names the embedded default where it is used, and the paper's setting."""
    if source is not None or run.resume:
        return None
    return f"no --config: the embedded default, {default}; the paper's setting is --config {paper}"


def closing(mix: MixSettings, length: str, seed: int, paths: Mapping[str, Path | None]) -> list[str]:
    """The last lines of a run: mixing, length and seed, then the paths of the files that exist.

    Args:
        mix: the mixing settings.
        length: how long the run was, with its unit.
        seed: the run's.
        paths: by what lies there; None: there is none.
    """
    lines = [f"{mixing(mix)}; {length}; seed {seed}"]
    return lines + [f"{what:12} {path}" for what, path in paths.items() if path is not None and path.exists()]
