"""Scores of one folder of images against another, as torch-fidelity's command gives them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmgan.data.decode import UnreadableImage, decode, ignoring_warnings, read_header
from mmgan.errors import UserError
from mmgan.scoring.extractors import Extractor
from mmgan.scoring.samples import Generate
from mmgan.scoring.scores import Reference, Scores, ScoreSettings, score_features
from mmgan.scoring.sharding import extract

EXTENSIONS = "png,jpg,jpeg"


def image_paths(folder: Path | str) -> list[Path]:
    """The PNG and JPEG files below a folder, in the order in which torch-fidelity reads them.

    Raises:
        UserError: if there is no such folder, it holds no image, a file is no image, or the sizes differ.
    """
    return _look(folder)[0]


def _look(folder: Path | str) -> tuple[list[Path], list[str]]:
    """The images below a folder, and what is done to some of them that torch-fidelity does not do."""
    from torch_fidelity.utils import glob_samples_paths  # here: it takes three seconds

    if not Path(folder).is_dir():
        raise UserError(f"'{folder}' is not a folder: name a folder of PNG or JPEG images")
    paths = [Path(path) for path in glob_samples_paths(str(folder), True, EXTENSIONS, verbose=False)]
    if not paths:
        raise UserError(f"no PNG or JPEG image in '{folder}' or below it: name a folder of images")
    sizes = {}
    notes: Counter[str] = Counter()
    with ignoring_warnings():
        for path in paths:
            try:
                header = read_header(path.read_bytes())
            except (UnreadableImage, OSError) as error:
                raise UserError(f"'{path}' is not a readable image ({error}): remove or replace it") from error
            sizes[header.size] = path
            notes.update(header.notes)
    if len(sizes) > 1:
        found = ", ".join(f"{w}x{h} ('{path}')" for (w, h), path in list(sizes.items())[:2])
        raise UserError(f"images in '{folder}' differ in size, {found}: resize them to one size")
    return paths, [f"{count} of {len(paths)} images in '{folder}': {what}" for what, count in sorted(notes.items())]


def image_reader(paths: Sequence[Path]) -> Generate:
    """`generate(first, count)` that decodes those files as RGB, as training decodes them."""

    def read(first: int, count: int) -> UInt8[Tensor, "n 3 h w"]:
        return torch.stack([_decode(path) for path in paths[first : first + count]])  # (n, 3, h, w)

    return read


def _decode(path: Path) -> UInt8[Tensor, "3 h w"]:
    try:
        with ignoring_warnings():
            return torch.from_numpy(decode(path.read_bytes(), None, 3).copy())
    except (UnreadableImage, OSError) as error:
        raise UserError(f"'{path}' is damaged ({error}): remove or replace it") from error


def score_folders(
    fake: Path | str,
    real: Path | str,
    extractor: Extractor,
    settings: ScoreSettings = ScoreSettings(),  # noqa: B008
) -> tuple[Scores, int, int]:
    """Scores of the images below `fake` against those below `real`, and the two numbers of images.

    Grey images are read as RGB. The two folders may differ in size. 16-bit greys are scaled to 8 bits, images are
    turned upright by EXIF, and transparency is laid on white; the notes count these. Without them and with
    `InceptionExtractor(..., fast=False)` the numbers are those of
    `fidelity --isc --fid --kid --samples-find-deep --input1 fake --input2 real`.

    Raises:
        UserError: for folders that cannot be scored; all files are looked at before any is scored.
    """
    (fakes, fake_notes), (reals, real_notes) = _look(fake), _look(real)
    settings.check(len(fakes), len(reals))
    fake_features = extract(image_reader(fakes), len(fakes), extractor, what="first folder")
    real_features = extract(image_reader(reals), len(reals), extractor, what="second folder")
    if fake_features is None or real_features is None:
        raise AssertionError("one process alone always leads")
    reference = Reference.of(real_features.features)
    scores = score_features(fake_features, reference, settings, extractor=extractor.name)
    scores = replace(scores, notes=(*scores.notes, *fake_notes, *real_notes))
    return scores, len(fakes), len(reals)
