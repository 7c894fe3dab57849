"""Image files decoded once: all pixels in one uint8 file, keyed by the contents of the files they came from.

An entry is `<key>.u8` (the pixels, NCHW) and `<key>.json`: their shape, their digest, and the relative path of each
file left out with the reason. `files.key_of` makes the key. An entry is made again if its pixels no longer have the
digest in the JSON.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from mmgan.data.decode import Header, UnreadableImage, decode, read_header
from mmgan.data.files import Request, in_threads, key_of, look
from mmgan.data.images import digest_of
from mmgan.errors import UserError
from mmgan.storage import cache_folder, cached_file


def decoded(request: Request) -> tuple[UInt8[Tensor, "n c h w"], dict[str, str]]:
    """The pixels of all readable files in order, mapped from the cache, and the unreadable ones with the reason.

    Raises UserError that names the first unreadable file unless they are skipped; where the native sizes differ
    and no size was asked for; where files change meanwhile; and where the cache cannot be written.
    """
    folder = cache_folder() / "images"
    before = look(request)
    key = key_of(request, before, folder)
    found = _read(folder, key, request)
    if found is None:
        _write(folder, key, request, before)
        found = _read(folder, key, request)
    if found is None:
        raise UserError(f"the image cache {folder} does not hold what was written to it: set MMGAN_CACHE to another")
    pixels, bad = found
    if bad and not request.form.skip_bad_images:
        raise _refusal(request, *next(iter(bad.items())))
    return pixels, bad


def _read(folder: Path, key: str, request: Request) -> tuple[Tensor, dict[str, str]] | None:
    """The entry; None if there is none, or it is damaged."""
    try:
        entry = json.loads((folder / f"{key}.json").read_text())
        pixels = _mapped(folder / f"{key}.u8", tuple(entry["shape"]))
        bad = dict(entry["bad"])
        complete = set(bad) <= set(request.paths) and len(pixels) + len(bad) == len(request.paths)
        intact = complete and all(isinstance(why, str) for why in bad.values())
        return (pixels, bad) if intact and digest_of(pixels, None) == entry["digest"] else None
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, OverflowError):
        return None


def _mapped(path: Path, shape: tuple[int, ...]) -> UInt8[Tensor, "n c h w"]:
    count = math.prod(shape)
    if path.stat().st_size != count:
        raise ValueError(f"{path} does not hold {count} bytes")
    if not count:  # nothing cannot be mapped
        return torch.empty(shape, dtype=torch.uint8)
    return torch.from_file(str(path), shared=False, size=count, dtype=torch.uint8).view(shape)


def _write(folder: Path, key: str, request: Request, before: tuple[str, float]) -> None:
    image_size, channels = _native(request)
    shape = (channels, image_size, image_size)

    def read(path: Path) -> np.ndarray | str:
        try:
            pixels = decode(path.read_bytes(), request.form.image_size, channels)
        except (UnreadableImage, OSError) as error:
            return str(error)
        return pixels if pixels.shape == shape else f"not {image_size} x {image_size} as its header says"

    bad: dict[str, str] = {}
    with cached_file(folder / f"{key}.u8") as part, part.open("wb") as file:
        for path, result in zip(request.paths, in_threads(read, request), strict=True):
            if not isinstance(result, str):
                file.write(result.tobytes())
            elif request.form.skip_bad_images:
                bad[path] = result
            else:
                raise _refusal(request, path, result)
    if look(request) != before:
        raise UserError(f"files in {request.root} changed while they were read: run this again when they are at rest")
    pixels = _mapped(folder / f"{key}.u8", (len(request.paths) - len(bad), *shape))
    with cached_file(folder / f"{key}.json") as part:
        part.write_text(json.dumps({"shape": tuple(pixels.shape), "digest": digest_of(pixels, None), "bad": bad}))


def _native(request: Request) -> tuple[int, int]:
    """The size and channels to decode to: what was asked for, else what the readable files have in common."""
    form = request.form
    if form.image_size is not None and form.channels is not None:
        return form.image_size, form.channels

    headers = zip(request.paths, in_threads(header_of, request), strict=True)
    good = [(path, found) for path, found in headers if found is not None]
    channels = form.channels or (1 if good and all(found.grey for _, found in good) else 3)
    if form.image_size is not None or not good:
        return form.image_size or 1, channels
    first, (width, height) = good[0][0], good[0][1].size
    for path, found in good:
        if found.size != (width, width):
            raise UserError(
                f"{request.root / path} is {found.size[0]} x {found.size[1]} pixels and {first} {width} x {height}: "
                "images that are not all of one square size need --image-size"
            )
    return width, channels


def header_of(path: Path) -> Header | None:
    """The header of the image in a file; None if it cannot be read, which the decoding that follows names."""
    try:
        return read_header(path.read_bytes())
    except (UnreadableImage, OSError):
        return None


def _refusal(request: Request, path: str, reason: str) -> UserError:
    return UserError(
        f"{request.root / path} is not a readable image ({reason}): remove it, or leave such files out with "
        "--skip-bad-images"
    )
