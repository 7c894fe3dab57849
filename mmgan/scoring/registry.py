"""Every extractor of published networks by its name: how its weights are found, and how it is built from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

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
from mmgan.scoring.resizing import PILLOW, RESIZINGS, TF1
from mmgan.scoring.scores import INCEPTION
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
        build: build(weights file, device, resize=...) gives the extractor. UserError where they are another network's.
        resizings: keys of `RESIZINGS` that it can be built with.
    """

    find: FindWeights
    build: Callable[..., Extractor]
    resizings: tuple[str, ...] = ()


def _dinov2(name: str, resize: str) -> Source:
    build = partial(dinov2_extractor, name, resize=resize)
    return Source(partial(find_timm_weights, MODELS[name]), build, tuple(RESIZINGS))


SOURCES: Mapping[str, Source] = {
    INCEPTION: Source(find_inception_weights, InceptionExtractor, tuple(RESIZINGS)),
    VGG16: Source(find_vgg16_weights, vgg16_extractor, (TF1, PILLOW)),
    CLIP: Source(find_clip_weights, clip_extractor, (TF1, PILLOW)),
    **{name: _dinov2(name, PILLOW) for name in MODELS},
    **{f"{name}-tf1": _dinov2(name, TF1) for name in MODELS},
}


def extractor_source(name: str, resize: str | None = None) -> Source:
    """The source of an extractor: a name of `SOURCES`, or timm:NAME for any model of timm.

    Args:
        name: of the extractor.
        resize: another way to resize than the one it is published with; None: that one.

    Raises:
        UserError: for any other name, or a way to resize that it does not have.
    """
    source = _published(name)
    if resize is None:
        return source
    if resize not in source.resizings:
        has = f"it has {', '.join(source.resizings)}" if source.resizings else "its model decides"
        raise UserError(f"--resize {resize} is not for the extractor '{name}': {has}, leave --resize out")
    return replace(source, build=partial(source.build, resize=resize))


def _published(name: str) -> Source:
    if name in SOURCES:
        return SOURCES[name]
    if name.startswith(TIMM) and name != TIMM:
        model = name.removeprefix(TIMM)
        return Source(partial(find_timm_weights, model), partial(timm_extractor, model))
    raise UserError(f"there is no extractor '{name}': choose {', '.join(SOURCES)}, or timm:NAME for a model of timm")
