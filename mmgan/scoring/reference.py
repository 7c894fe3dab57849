"""Features of real images, computed once and kept on disk under a digest of everything they depend on."""

import hashlib
import logging
from pathlib import Path

import torch
from jaxtyping import UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mmgan.data import Images
from mmgan.digests import tensors_digest
from mmgan.errors import UserError
from mmgan.scoring.extractors import Extractor
from mmgan.scoring.frechet import Moments
from mmgan.scoring.scores import Reference
from mmgan.scoring.sharding import ALONE, CHUNK, Processes, extract
from mmgan.storage import cached_file, check_cache

VERSION = 1  # of the file's layout

log = logging.getLogger(__name__)


def real_features(
    images: Images,
    extractor: Extractor,
    cache_dir: Path | str | None,
    processes: Processes = ALONE,
) -> Reference | None:
    """Features and moments of real images, on rank 0; None on the others. All ranks must call it.

    The file in the cache is named by a digest of the pixels themselves, the data's name and split, and the extractor's
    fingerprint, and holds a digest of its own content: a stale or damaged one is computed again.

    Args:
        images: the same on every rank, in the size at which the fakes are made.
        extractor: the same on every rank.
        cache_dir: a folder, made if absent; None keeps nothing.
        processes: who shares the work.

    Raises:
        UserError: if there are fewer than two images or the folder cannot be written, before any work.
    """
    if len(images) < 2:
        raise UserError(f"'{images.name}' ({images.split}) has {len(images)} images: real features need at least two")
    path = None if cache_dir is None else _path(Path(cache_dir), images, extractor)
    cached = _read(path) if path is not None and processes.rank == 0 else None
    # Only rank 0's disk counts, for a node may lack the file that another has.
    if processes.gather(cached is not None)[0]:
        return cached

    def stored(first: int, count: int) -> UInt8[Tensor, "n c h w"]:
        return images.pixels[first : first + count]

    found = extract(stored, len(images), extractor, processes, what="real images")
    if found is None:
        return None
    reference = Reference.of(found.features)
    if path is not None:
        _write(path, reference)
    return reference


def _path(folder: Path, images: Images, extractor: Extractor) -> Path:
    check_cache(folder)
    pixels, name, split = images.pixels, images.name, images.split
    key = hashlib.sha256(f"{VERSION} {CHUNK} {name} {split} {tuple(pixels.shape)} {extractor.fingerprint}\n".encode())
    for first in range(0, len(pixels), 4096):
        key.update(pixels[first : first + 4096].cpu().contiguous().numpy().data)
    words = "-".join("".join(c if c.isalnum() else "_" for c in word) for word in (name, split, extractor.name))
    return folder / f"{words[:80]}-{key.hexdigest()[:32]}.safetensors"


def _read(path: Path) -> Reference | None:
    """What the file holds; None if there is none, or if its content is not what was written."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in ("features", "mean", "covariance")}
            intact = (file.metadata() or {}).get("sha256") == tensors_digest(tensors)
    except (SafetensorError, OSError) as error:
        log.warning("the cached features '%s' cannot be read (%s): computing them again", path, error)
        return None
    if not intact:
        log.warning("the cached features '%s' are damaged: computing them again", path)
        return None
    mean, covariance = tensors["mean"].numpy(), tensors["covariance"].numpy()
    return Reference(tensors["features"], Moments(mean, covariance, len(tensors["features"])))


def _write(path: Path, reference: Reference) -> None:
    tensors = {
        "features": reference.features,
        "mean": torch.from_numpy(reference.moments.mean),
        "covariance": torch.from_numpy(reference.moments.covariance),
    }
    with cached_file(path) as part:
        try:
            save_file(tensors, part, metadata={"sha256": tensors_digest(tensors)})
        except SafetensorError as error:  # what a full disk is reported as
            raise OSError(str(error)) from error
