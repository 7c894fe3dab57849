"""Scores of one set of images against another, as torch-fidelity's command gives them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mmgan.scoring.by_class import ClassScores, check_classes, class_notes, score_classes
from mmgan.scoring.extractors import Extractor
from mmgan.scoring.folders import open_folder
from mmgan.scoring.image_sets import ImageSet
from mmgan.scoring.reference import real_features
from mmgan.scoring.scores import Reference, Scores, ScoreSettings, score_features
from mmgan.scoring.sharding import ALONE, Processes, extract


@dataclass(frozen=True)
class SetScores:
    """Scores of two sets, and of each class where they were asked for."""

    scores: Scores
    classes: Mapping[str, ClassScores] | None = None


def score_sets(
    fake: ImageSet,
    real: ImageSet,
    extractor: Extractor,
    settings: ScoreSettings,
    processes: Processes = ALONE,
    *,
    by_class: bool = False,
    cache_dir: Path | str | None = None,
) -> SetScores | None:
    """Scores on rank 0; None on the others. All ranks must call it; any number of them gives the same numbers.

    Args:
        fake, real: of any sizes, which may differ.
        extractor: the same on every rank.
        settings: what is computed, and how.
        processes: who shares the work.
        by_class: also the scores of each class.
        cache_dir: where the features of a data set are kept; None: nowhere.

    Raises:
        UserError: for sets that cannot be scored, before any work, or an image that is damaged.
    """
    settings.check(fake.count, real.count)
    if by_class:
        check_classes(fake.classes, real.classes)
    fakes = extract(fake.read, fake.count, extractor, processes, what="samples")
    if real.images is not None:
        reference = real_features(real.images, extractor, cache_dir, processes)
    else:
        found = extract(real.read, real.count, extractor, processes, what="real images")
        reference = None if found is None else Reference.of(found.features)
    if fakes is None or reference is None:
        return None
    scores = score_features(fakes, reference, settings, extractor=extractor.name)
    classes = None
    if by_class and fake.classes is not None and real.classes is not None:
        classes = score_classes(fakes, reference, fake.classes, real.classes, settings, extractor=extractor.name)
    notes = (*scores.notes, *fake.notes, *real.notes, *class_notes(classes or {}, extractor.dims))
    return SetScores(replace(scores, notes=notes), classes)


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
    fakes, reals = open_folder(fake), open_folder(real)
    found = score_sets(fakes, reals, extractor, settings)
    if found is None:
        raise AssertionError("one process alone always leads")
    return found.scores, fakes.count, reals.count
