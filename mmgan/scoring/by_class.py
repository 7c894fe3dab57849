"""Scores of each class on its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
import torch

from mmgan.errors import UserError
from mmgan.scoring.extractors import Features
from mmgan.scoring.scores import Reference, Scores, ScoreSettings, score_features

READ = "read_as_its_class"
"""The share of a class's fakes that a classifier reads as this class."""


@dataclass(frozen=True)
class ClassScores:
    """The scores of one class, with its numbers of images."""

    samples: int
    reals: int
    scores: Scores


def score_classes(
    fake: Features,
    real: Reference,
    fake_classes: Sequence[str],
    real_classes: Sequence[str],
    settings: ScoreSettings,
    *,
    extractor: str,
    read: Sequence[str] | None = None,
) -> dict[str, ClassScores]:
    """Distances and neighbour measures of each class, on the features of its images alone; no class score.

    Args:
        fake, real: features of all images.
        fake_classes, real_classes: the class of each image.
        settings: what is computed, and how.
        extractor: its name.
        read: the classes of the extractor's logits, where it is a classifier of these classes. Then there is also the
            share of a class's fakes that it reads as this class.

    Raises:
        UserError: if the two sides do not have the same classes, or a class has too few images.
    """
    names = check_classes(fake_classes, real_classes)
    wanted = replace(settings, splits=1, infinite=False)
    found = {}
    for name in names:
        own, others = (np.flatnonzero(np.asarray(of) == name) for of in (fake_classes, real_classes))
        _check_class(wanted, name, len(own), len(others))
        x = Features(fake.features[torch.from_numpy(own)], torch.empty(len(own), 0))
        y = Reference.of(real.features[torch.from_numpy(others)])
        scores = score_features(x, y, wanted, extractor=extractor)
        if read is not None:
            as_this = fake.logits[torch.from_numpy(own)].argmax(1) == read.index(name)  # (n,)
            scores = replace(scores, values={**scores.values, READ: float(as_this.double().mean())})
        found[name] = ClassScores(len(own), len(others), scores)
    return found


def check_classes(fake_classes: Sequence[str] | None, real_classes: Sequence[str] | None) -> list[str]:
    """The classes of both sides, in alphabetical order.

    Raises:
        UserError: if one side has none, or they differ.
    """
    for what, classes in (("samples", fake_classes), ("real images", real_classes)):
        if classes is None:
            raise UserError(
                f"--by-class: the {what} have no classes; put the images of each class into a folder of its own, or"
                " choose data with labels"
            )
    fakes, reals = set(fake_classes or ()), set(real_classes or ())
    if fakes != reals:
        odd = sorted(fakes ^ reals)[0]
        raise UserError(
            f"--by-class: the class '{odd}' is only among the {'samples' if odd in fakes else 'real images'}"
        )
    return sorted(fakes)


def means_of(classes: Mapping[str, ClassScores]) -> dict[str, float]:
    """The plain mean of each score over classes. Of the Frechet distance it is known as the intra-class distance."""
    first = next(iter(classes.values()))
    return {name: fmean(of.scores.values[name] for of in classes.values()) for name in first.scores.values}


def class_notes(classes: Mapping[str, ClassScores], dims: int) -> list[str]:
    """A warning where classes have no more images than there are features."""
    few = [name for name, of in classes.items() if min(of.samples, of.reals) <= dims]
    if not few:
        return []
    return [
        f"by class: {len(few)} of {len(classes)} classes have no more images than the {dims} features, so that their"
        " Frechet distances are biased upwards: compare them only at equal numbers of images"
    ]


def _check_class(settings: ScoreSettings, name: str, fakes: int, reals: int) -> None:
    try:
        settings.check(fakes, reals)
    except UserError as error:
        raise UserError(f"--by-class: class '{name}': {error}") from None
