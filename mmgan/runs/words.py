"""The lines that both trainers print at the start and at the end of a run."""

from collections.abc import Mapping
from pathlib import Path

from mmgan.config.classifier import ClassifierMixSettings
from mmgan.config.gan import GanMixSettings
from mmgan.data import Images
from mmgan.process.accelerator import where
from mmgan.runs.session import Session


def mixing(mix: GanMixSettings | ClassifierMixSettings) -> str:
    """The layers that are mixed and the law of lam."""
    if mix.mix == "none":
        return "mixing: none (the baseline)"
    if mix.lam == "adamix":
        return f"mixing: layers {mix.mix}, lam learned for each pair (AdaMix)"
    line = f"mixing: layers {mix.mix}, lam ~ {mix.lam}, alpha {mix.alpha:g}"
    if isinstance(mix, GanMixSettings):
        line += "" if mix.mix_rule == "linear" else f", rule {mix.mix_rule}"
        line += "" if mix.mix_target == "paper" else f", target {mix.mix_target}"
    return line


def opening(
    session: Session,
    data: str,
    images: Images,
    mix: GanMixSettings | ClassifierMixSettings,
    preset: str | None,
) -> list[str]:
    """The lines at the start of a run.

    Args:
        session: the run's.
        data: which images and how many.
        images: the training images.
        mix: the mixing settings.
        preset: the line that names the settings of a run without --config; else None.
    """
    _, channels, height, width = images.pixels.shape
    lines = [f"{images.name}: {data} of {width}x{height}, {'grey' if channels == 1 else 'RGB'}"]
    if preset is not None and not session.settings.resume:
        lines.insert(0, preset)
    if images.skipped:
        lines.append(f"skipped {images.skipped} files that cannot be read as images")
    return [*lines, f"{mixing(mix)}; on {where(session.accelerator)}; writing to {session.folder.path}"]


def closing(
    mix: GanMixSettings | ClassifierMixSettings, length: str, seed: int, paths: Mapping[str, Path | None]
) -> list[str]:
    """The last lines of a run: mixing, length and seed, then the paths of the files that exist.

    Args:
        mix: the mixing settings.
        length: how long the run was, with its unit.
        seed: the run's.
        paths: by the name to print; None: there is no such file.
    """
    lines = [f"{mixing(mix)}; {length}; seed {seed}"]
    return lines + [f"{what:12} {path}" for what, path in paths.items() if path is not None and path.exists()]
