"""Image files decoded once: all pixels in one uint8 file, keyed by the contents of the files they came from.

An entry is `<key>.u8` (the pixels, NCHW) and `<key>.json`. The key is a sha256 over the relative paths, sizes and
contents of the files and what was asked for. To skip reading the contents again, a stamp keeps the key beside what
`stat` said of every file (size, modification and status-change time, inode). The status-change time cannot be set by
hand, so a file cannot change under a stamp; and a stamp is only left when the newest such time was seconds ago, so
that no change hides within the clock's grain. An entry whose pixels no longer have its digest is made again.
"""

import hashlib
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import PIL
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from mmgan.data.decode import GREY_MODES, decode, open_image, upright_size
from mmgan.data.images import digest_of
from mmgan.errors import UserError

FORMAT = 1  # part of every key: raise it when decoding changes
CHUNK = 64  # files a thread takes at a time
BLOCK = 4096  # files whose decoded pixels may wait in memory for being written
SETTLED = 5.0  # seconds since the last change before a stamp is trusted; file systems' clocks tick in up to two

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """What is asked of a set of files: relative paths below `root`, and the form the pixels shall have."""

    root: Path
    paths: tuple[str, ...]
    image_size: int | None  # None: the files' own, which must then be one and square
    channels: int | None  # None: 1 if every file is grey, else 3

    @property
    def form(self) -> str:
        return repr((FORMAT, PIL.__version__, self.image_size, self.channels))


@dataclass(frozen=True)
class Entry:
    """The JSON beside the pixels."""

    shape: tuple[int, ...]
    digest: str  # of the pixels alone
    bad: dict[str, str]  # relative path of each file left out -> why it could not be read


def cache_folder() -> Path:
    """$MMGAN_CACHE, else $XDG_CACHE_HOME/mmgan, else ~/.cache/mmgan."""
    if own := os.environ.get("MMGAN_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mmgan"


def decoded(request: Request, *, skip_bad_images: bool) -> tuple[UInt8[Tensor, "n c h w"], dict[str, str]]:
    """The pixels of all readable files in order, mapped from the cache, and the unreadable ones with the reason.

    Raises UserError that names the first unreadable file unless `skip_bad_images`, or where the native sizes differ
    and no size was asked for.
    """
    folder = cache_folder() / "images"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        key = _key(request, folder)
        found = _read(folder, key)
        if found is None:
            _write(folder, key, request, skip_bad_images)
            found = _read(folder, key)
    except OSError as error:
        raise UserError(
            f"the image cache {folder} cannot be used ({error}): set MMGAN_CACHE to a writable folder"
        ) from None
    if found is None:
        raise UserError(
            f"the image cache {folder} does not hold what was just written to it: set MMGAN_CACHE to another"
        )
    pixels, entry = found
    if entry.bad and not skip_bad_images:
        raise _refusal(request, *next(iter(entry.bad.items())))
    return pixels, entry.bad


def _key(request: Request, folder: Path) -> str:
    looked_at = time.time()
    stats = [(request.root / path).stat() for path in request.paths]
    form = hashlib.sha256(f"{request.form}\0{request.root.resolve()}".encode())
    now = hashlib.sha256()
    for path, stat in zip(request.paths, stats, strict=True):
        now.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}\0{stat.st_ino}\n".encode())
    stamp = folder / f"{form.hexdigest()}.stamp"
    if stamp.exists():
        seen, key = stamp.read_text().split()
        if seen == now.hexdigest():
            return key
    content = hashlib.sha256(request.form.encode())
    for path, stat, digest in zip(request.paths, stats, _in_threads(_sha256, request), strict=True):
        content.update(f"{path}\0{stat.st_size}\0{digest}\n".encode())
    if max(stat.st_ctime for stat in stats) < looked_at - SETTLED:
        with _written(stamp) as file:
            file.write(f"{now.hexdigest()} {content.hexdigest()}".encode())
    return content.hexdigest()


def _read(folder: Path, key: str) -> tuple[Tensor, Entry] | None:
    try:
        entry = Entry(**json.loads((folder / f"{key}.json").read_text()))
        path = folder / f"{key}.u8"
        count = int(np.prod(entry.shape))
        if path.stat().st_size != count:
            return None
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if not count:
        return torch.empty(entry.shape, dtype=torch.uint8), entry
    pixels = torch.from_file(str(path), shared=False, size=count, dtype=torch.uint8).view(*entry.shape)
    return (pixels, entry) if digest_of(pixels, None) == entry.digest else None


def _write(folder: Path, key: str, request: Request, skip_bad_images: bool) -> None:
    image_size, channels = _native(request)
    bad: dict[str, str] = {}
    shape = (channels, image_size, image_size)

    def read(path: Path) -> np.ndarray | str:
        try:
            pixels = decode(path.read_bytes(), request.image_size, channels)
        except Exception as error:  # Pillow's readers raise all sorts on broken files
            return " ".join(str(error).split()).replace(f"{path}", "it") or type(error).__name__
        return pixels if pixels.shape == shape else f"it is not {image_size} x {image_size} like the others"

    with _written(folder / f"{key}.u8") as file:
        for path, result in zip(request.paths, _in_threads(read, request), strict=True):
            if not isinstance(result, str):
                file.write(result.tobytes())
            elif skip_bad_images:
                bad[path] = result
            else:
                raise _refusal(request, path, result)
    count = len(request.paths) - len(bad)
    full = (count, *shape)
    size = int(np.prod(full))
    pixels = (
        torch.from_file(str(folder / f"{key}.u8"), shared=False, size=size, dtype=torch.uint8)
        if size
        else torch.empty(0, dtype=torch.uint8)
    )
    with _written(folder / f"{key}.json") as file:
        file.write(json.dumps(asdict(Entry(full, digest_of(pixels.view(full), None), bad))).encode())


def _native(request: Request) -> tuple[int, int]:
    """The size and channels to decode to: what was asked for, else what the readable files have in common."""
    if request.image_size is not None and request.channels is not None:
        return request.image_size, request.channels

    def header(path: Path) -> tuple[tuple[int, int], bool] | None:
        try:
            image = open_image(path.read_bytes())
            return upright_size(image), image.mode in GREY_MODES
        except Exception:
            return None  # the decoding that follows names it

    headers = list(_in_threads(header, request))
    good = [(path, *found) for path, found in zip(request.paths, headers, strict=True) if found is not None]
    channels = request.channels or (1 if good and all(grey for _, _, grey in good) else 3)
    if request.image_size is not None or not good:
        return request.image_size or 1, channels
    first, (width, height), _ = good[0]
    for path, size, _ in good:
        if size != (width, width):
            raise UserError(
                f"{request.root / path} is {size[0]} x {size[1]} pixels and {first} {width} x {height}: images that "
                "are not all of one square size need --image-size"
            )
    return width, channels


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"


def _refusal(request: Request, path: str, reason: str) -> UserError:
    return UserError(
        f"{request.root / path} is not a readable image ({reason}): remove it, or leave such files out with "
        "--skip-bad-images"
    )


def _in_threads(work: Callable[[Path], T], request: Request) -> Iterator[T]:
    """`work` on every path, in order. Pillow and hashlib let go of the interpreter's lock, so threads do."""

    def chunk(paths: Sequence[str]) -> list[T]:
        return [work(request.root / path) for path in paths]

    # The filter is the process's, so it is set here and not in the threads.
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # open_image refuses where Pillow warns
        for start in range(0, len(request.paths), BLOCK):
            block = request.paths[start : start + BLOCK]
            for results in pool.map(chunk, [block[i : i + CHUNK] for i in range(0, len(block), CHUNK)]):
                yield from results


@contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes `path`'s place only when it is whole; two processes may write the same at a time."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)  # noqa: PTH105
        except BaseException:
            Path(file.name).unlink()
            raise
