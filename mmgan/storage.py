"""Write files completely or not at all, and report disk errors in one line."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmgan.errors import StorageFailed, UserError

UNFINISHED = ".unfinished-"
"""The beginning of the names of folders for unfinished files in the cache."""


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an error of the operating system into one line that names its file, or else `path`.

    Raises:
        StorageFailed: for an OSError inside.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageFailed(
            f"{error.filename or path} cannot be written ({reason}): earlier files are intact; free space or repair"
            " the folder, and run this again (training: with --resume)"
        ) from error


def write_flushed(path: Path, content: bytes) -> str:
    """Write a new file through to the disk.

    Returns:
        The SHA-256 of `content`.
    """
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(content).hexdigest()


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write to a temporary file, then rename it: a reader sees the old or the new content, never a part.

    Raises:
        StorageFailed: if it cannot be written; the old file is kept.
    """
    part = path.with_name(path.name + ".part")
    with storing(path):
        try:
            write_flushed(part, content.encode(errors="backslashreplace") if isinstance(content, str) else content)
            part.replace(path)
        except OSError:
            discard(part)
            raise
        flush_folder(path.parent)


def name_fault(path: Path) -> str | None:
    """Why no file can be made below a path, whatever the disk; None if nothing speaks against it.

    The path must leave room for the names of a run's files below it.
    """
    if str(path).startswith("~"):
        return "it begins with ~, which the shell did not replace: write the folder out"
    whole = os.fsencode(path.absolute())
    if len(whole) > 4096 - 256 or any(len(part) > 255 for part in whole.split(b"/")):
        return "its name is too long: 255 bytes are the most"
    return None


def folder_of(name: str) -> Path:
    """The folder of a data set's name `folder:PATH`. Raises UserError where ~ names no user's."""
    try:
        return Path(name.removeprefix("folder:")).expanduser()
    except RuntimeError:
        raise UserError(f"{name}: there is no such user's folder: write the folder out") from None


def flush_folder(folder: Path) -> None:
    """Flush a folder's names to the disk, as files are flushed."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def discard(part: Path) -> None:
    """Remove an unfinished file to free its space, if the disk allows it."""
    try:
        part.unlink(missing_ok=True)
    except OSError:
        return


def cache_folder() -> Path:
    """$MMGAN_CACHE, else $XDG_CACHE_HOME/mmgan, else ~/.cache/mmgan."""
    if own := os.environ.get("MMGAN_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mmgan"


@contextmanager
def cached_file(path: Path) -> Iterator[Path]:
    """Yield the path of a new file, which replaces `path` when the block ends.

    Several processes may write the same file at the same time. A missing folder is made. If the block fails, its file
    is removed.

    Raises:
        UserError: for an OSError, also one inside the block.
    """
    with _caching(path.parent), _own_folder(path.parent) as folder:
        part = folder / path.name
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)


@contextmanager
def _own_folder(cache: Path) -> Iterator[Path]:
    """A new folder for an unfinished file, locked while it is in use: those without a lock are of killed processes, and
    are removed first."""
    for left in cache.glob(f"{UNFINISHED}*"):
        with suppress(OSError), (left / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left)
    while True:
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=cache, ignore_cleanup_errors=True) as name:
            folder = Path(name)
            with (folder / "lock").open("w") as lock:
                with suppress(OSError):  # a file system without locks: nobody removes it then
                    fcntl.flock(lock, fcntl.LOCK_EX)
                if os.fstat(lock.fileno()).st_nlink:  # else another process was faster and took it for left behind
                    yield folder
                    return


def check_cache(folder: Path) -> None:
    """Make a folder of the cache and test that it is writable, before the work whose result it will keep.

    Raises:
        UserError: if it cannot be written.
    """
    with _caching(folder):
        tempfile.TemporaryFile(dir=folder).close()


@contextmanager
def _caching(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(
            f"the cache {folder} cannot be written ({error.strerror or error}): set MMGAN_CACHE to a writable folder"
        ) from None
