"""A set of image files on disk: the request, work on all files in threads, and a key to their contents."""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import PIL

from mmgan.data.decode import ignoring_warnings
from mmgan.digests import file_digest
from mmgan.errors import UserError
from mmgan.storage import cached_file

FORMAT = 2  # part of every key: raise it when decoding changes
CHUNK = 16  # files a thread takes at a time
BLOCK = 1024  # files whose results wait in memory together
SETTLED = 5.0  # seconds since the last change before a stamp is trusted; file systems' clocks tick in up to two

T = TypeVar("T")


@dataclass(frozen=True)
class Form:
    """The pixels to read from image files, and what to do about files that are no readable images."""

    image_size: int | None  # None: the files' own, which must then be one and square
    channels: int | None  # None: 1 if every file is grey, else 3
    skip_bad_images: bool


@dataclass(frozen=True)
class Request:
    """A set of files, as relative paths below `root`, and the form of the pixels to read from them."""

    root: Path
    paths: tuple[str, ...]
    form: Form

    @property
    def key(self) -> str:
        return repr((FORMAT, PIL.__version__, self.form.image_size, self.form.channels))


def in_threads(work: Callable[[Path], T], request: Request) -> Iterator[T]:
    """Run `work` on every path, in order. Threads are enough: Pillow and hashlib release the interpreter's lock."""

    def chunk(paths: Sequence[str]) -> list[T]:
        return [work(request.root / path) for path in paths]

    for start in range(0, len(request.paths), BLOCK):
        block = request.paths[start : start + BLOCK]
        with ignoring_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
            chunks = list(pool.map(chunk, [block[i : i + CHUNK] for i in range(0, len(block), CHUNK)]))
        for results in chunks:
            yield from results


def look(request: Request) -> tuple[str, float]:
    """A sha256 over the `stat` of every file, and the latest status-change time in seconds."""
    sha = hashlib.sha256()
    latest = 0.0
    for path in request.paths:
        try:
            stat = (request.root / path).stat()
        except OSError as error:
            raise UserError(f"{request.root / path} cannot be looked at: {error.strerror}") from None
        sha.update(os.fsencode(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}\0{stat.st_ino}\n"))
        latest = max(latest, stat.st_ctime)
    return sha.hexdigest(), latest


def key_of(request: Request, look_now: tuple[str, float], stamps: Path) -> str:
    """A sha256 over the request, and the relative paths and contents of its files.

    To skip reading the contents again, a stamp in the folder `stamps` keeps the key and the result of `look`. Nobody
    can set a status-change time, so a file cannot change under a stamp. A stamp is only written when the newest of
    these times was seconds ago, so that no change hides within the clock's resolution.
    """
    seen, latest = look_now
    started = time.time()
    place = hashlib.sha256(os.fsencode(f"{request.key}\0{request.root.resolve()}")).hexdigest()
    stamp = stamps / f"{place}.stamp"
    if kept := _stamped(stamp, seen):
        return kept
    content = hashlib.sha256(request.key.encode())
    for path, digest in zip(request.paths, in_threads(_sha256, request), strict=True):
        content.update(os.fsencode(f"{path}\0{digest}\n"))
    key = content.hexdigest()
    if latest < started - SETTLED:
        with cached_file(stamp) as part:
            part.write_text(f"{seen} {key} {_check_of(seen, key)}")
    return key


def _stamped(stamp: Path, seen: str) -> str | None:
    """The key in a stamp; None if there is none, it is of other files, or one bit of it has changed."""
    try:
        words = stamp.read_text(encoding="ascii").split(" ")
    except (OSError, UnicodeDecodeError):
        return None
    if len(words) != 3 or words[0] != seen or words[2] != _check_of(seen, words[1]):
        return None
    return words[1] if re.fullmatch(r"[0-9a-f]{64}", words[1]) else None


def _check_of(seen: str, key: str) -> str:
    return hashlib.sha256(f"{seen} {key}".encode()).hexdigest()


def _sha256(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError:
        return "unreadable"  # the decoding that follows says why
