"""One split of a data set in memory, and the validation set that can be carved from it."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from mmgan.draws import numpy_stream
from mmgan.errors import UserError


@dataclass(frozen=True, eq=False)
class Images:
    """One split of a data set: uint8 pixels 0..255, NCHW, on the host.

    The pixels may be mapped from a file, and are then read as they are used. Make one with `make_images`, which
    fills in the digest.
    """

    name: str  # "digits", "cifar10", "folder:PATH", ...
    split: str  # "train", "test", "unlabeled"; "validation" for what split_validation carves out
    pixels: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"] | None
    classes: tuple[str, ...]  # labels index it; empty where there are no labels
    digest: str  # sha256 in hex over shape, pixels and labels: keys caches and guards resume
    skipped: int = 0  # files left out because they were no readable images

    def __len__(self) -> int:
        return len(self.pixels)


def make_images(
    name: str,
    split: str,
    pixels: UInt8[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"] | None = None,
    classes: tuple[str, ...] = (),
    skipped: int = 0,
) -> Images:
    """Images with their digest computed.

    Raises UserError if a label lies outside the classes.
    """
    if labels is not None and len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(classes):
        raise UserError(
            f"{name}: labels run from {int(labels.min())} to {int(labels.max())}, "
            f"but there are {len(classes)} classes (0 to {len(classes) - 1})"
        )
    return Images(name, split, pixels, labels, classes, digest_of(pixels, labels), skipped)


def digest_of(pixels: UInt8[Tensor, "n c h w"], labels: Int64[Tensor, " n"] | None) -> str:
    """The sha256, in hex, over shape, pixels and labels: the same on every machine for the same data."""
    sha = hashlib.sha256(repr(tuple(pixels.shape)).encode())
    for chunk in torch.split(pixels, 4096):  # so that a mapped file is never wholly in memory
        sha.update(chunk.contiguous().numpy().data)
    if labels is not None:
        sha.update(b"labels")
        sha.update(labels.numpy().astype("<i8").tobytes())
    return sha.hexdigest()


def split_validation(images: Images, count: int, seed: int) -> tuple[Images, Images]:
    """Carve `count` images out by `seed`: (the rest, the validation set), each in the original order.

    With labels the choice is stratified: every class gives its proportional share, rounded up or down. The rest keeps
    the split's name, the other's split is "validation". Both are copies in memory.

    Raises UserError where either part would be empty.
    """
    if not 0 < count < len(images):
        raise UserError(
            f"a validation set of {count} images cannot be carved from the {len(images)} of {images.name}: "
            f"choose 1 to {len(images) - 1}"
        )
    held_out = _drawn(images, count, seed, "validation")
    return _subset(images, ~held_out, images.split), _subset(images, held_out, "validation")


def hold_out(images: Images, share: float, seed: int) -> tuple[Images, Images]:
    """Set a share of the images aside by `seed`: (the rest, the held-out images), drawn as in `split_validation`.

    Raises UserError where either part would be empty.
    """
    count = round(share * len(images))
    if not 0 < count < len(images):
        raise UserError(
            f"--holdout {share:g} of {len(images)} images of {images.name} ({images.split}) sets {count} aside and"
            f" leaves {len(images) - count} to train on: choose a share that leaves at least one of each"
        )
    held_out = _drawn(images, count, seed, "holdout")
    return _subset(images, ~held_out, images.split), _subset(images, held_out, "held-out")


def draw_images(images: Images, count: int, seed: int) -> Images:
    """Draw `count` of the images by `seed`, in the original order; stratified as in `split_validation`.

    Raises UserError if `count` is not between 1 and the number of images.
    """
    if not 0 < count <= len(images):
        raise UserError(
            f"{count} images cannot be drawn from the {len(images)} of {images.name} ({images.split}): "
            f"choose 1 to {len(images)}"
        )
    return _subset(images, _drawn(images, count, seed, "subset"), images.split)


def draw_balanced(images: Images, count: int, seed: int) -> Images:
    """Draw `count` of the images by `seed`, in the original order: as many of each class, as far as a class has them.

    Raises UserError if `count` is not between 2 and the number of images.
    """
    if not 2 <= count <= len(images):
        raise UserError(
            f"--max-images {count} cannot be drawn from the {len(images)} images of {images.name} ({images.split}): "
            f"choose 2 to {len(images)}"
        )
    keep = np.zeros(len(images), bool)
    keep[balanced_choice(_labels(images), count, numpy_stream(seed, "max images"))] = True
    return _subset(images, keep, images.split)


def balanced_choice(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` distinct random indices: first one of each class, then a second of each, and so on."""
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    ordered = labels[by_class]
    turn = np.arange(len(labels)) - np.searchsorted(ordered, ordered)  # how many of its class come before
    classes = np.unique(labels)
    ranks = rng.permutation(len(classes))[np.searchsorted(classes, ordered)]  # which classes give one more
    picks: np.ndarray = by_class[np.lexsort((ranks, turn))][:count]
    return picks


def stratified_choice(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` distinct random indices, every class within one of its proportional share.

    Systematic sampling: the images are shuffled, sorted by class, and every (n / count)-th is taken.
    """
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    picks: np.ndarray = by_class[(2 * np.arange(count) + 1) * len(labels) // (2 * count)]
    return picks


def _drawn(images: Images, count: int, seed: int, purpose: str) -> np.ndarray:
    """True for `count` of the images, drawn by (seed, purpose)."""
    drawn = np.zeros(len(images), bool)
    drawn[stratified_choice(_labels(images), count, numpy_stream(seed, purpose))] = True
    return drawn


def _labels(images: Images) -> np.ndarray:
    """The labels, or one class for all."""
    return np.zeros(len(images), np.int64) if images.labels is None else images.labels.numpy()


def _subset(images: Images, keep: np.ndarray, split: str) -> Images:
    index = torch.from_numpy(np.flatnonzero(keep))
    labels = None if images.labels is None else images.labels[index]
    return make_images(images.name, split, images.pixels[index], labels, images.classes, images.skipped)
