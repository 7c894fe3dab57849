"""Every extractor of published networks by its name: how its weights are found, and how it is built from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch

from mmgan.errors import UserError
from mmgan.scoring.dinov2 import MODELS, dinov2_extractor
from mmgan.scoring.extractors import Extractor
from mmgan.scoring.fidelity_networks import (
    CLIP,
    VGG16,
    clip_extractor,
    find_clip_weights,
    find_vgg16_weights,
    vgg16_extractor,
)
from mmgan.scoring.inception import InceptionExtractor, find_inception_weights
from mmgan.scoring.timm_networks import timm_extractor
from mmgan.scoring.weights import find_timm_weights

TIMM = "timm:"


class FindWeights(Protocol):
    """A file of weights: the given one, else a cached one, else a download. UserError where there is none."""

    def __call__(self, path: Path | str | None, *, download: bool) -> Path: ...


@dataclass(frozen=True)
class Source:
    """Where an extractor comes from.

    Attributes:
        find: its weights; to be called before any training or data work.
        build: the extractor with the weights of a file, on a device. UserError where they are another network's.
    """

    find: FindWeights
    build: Callable[[Path, torch.device | str], Extractor]


def _dinov2(name: str, tensorflow: bool) -> Source:
    build = partial(dinov2_extractor, name, tensorflow=tensorflow)
    return Source(partial(find_timm_weights, MODELS[name]), build)


SOURCES: Mapping[str, Source] = {
    "inception": Source(find_inception_weights, InceptionExtractor),
    VGG16: Source(find_vgg16_weights, vgg16_extractor),
    CLIP: Source(find_clip_weights, clip_extractor),
    **{name: _dinov2(name, False) for name in MODELS},
    **{f"{name}-tf1": _dinov2(name, True) for name in MODELS},
}


def extractor_source(name: str) -> Source:
    """The source of an extractor: a name of `SOURCES`, or timm:NAME for any model of timm.

    Raises:
        UserError: for any other name.
    """
    if name in SOURCES:
        return SOURCES[name]
    if name.startswith(TIMM) and name != TIMM:
        model = name.removeprefix(TIMM)
        return Source(partial(find_timm_weights, model), partial(timm_extractor, model))
    raise UserError(f"there is no extractor '{name}': choose {', '.join(SOURCES)}, or timm:NAME for a model of timm")
