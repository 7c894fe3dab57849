"""Write files whole or not at all, and say in one line what a disk refuses."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmgan.errors import StorageFailed, UserError


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an error of the operating system into one line that names its file, or `path` where it names none.

    Raises:
        StorageFailed: for an OSError inside.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageFailed(
            f"{error.filename or path} cannot be written ({reason}): what was saved before stands; make room or repair"
            " the folder, and run this again (training: with --resume)"
        ) from error


def write_flushed(path: Path, content: bytes) -> str:
    """Write a new file through to the disk.

    Returns:
        The SHA-256 of the content, as it was meant to be written.
    """
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(content).hexdigest()


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file next to it and rename that: a reader sees the old content or the new one, never a part.

    Raises:
        StorageFailed: if it cannot be written; what stood there still stands.
    """
    part = path.with_name(path.name + ".part")
    with storing(path):
        try:
            write_flushed(part, content.encode() if isinstance(content, str) else content)
            part.replace(path)
        except OSError:
            discard(part)
            raise
        flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Make the names in a folder as durable as the files' contents."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def discard(part: Path) -> None:
    """Remove an unfinished file, to give its room back, if the disk still lets us."""
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
    """Yield a new file's path; what the block writes there takes the place of `path` when the block ends.

    Several processes may write the same file at a time. The folder is made if it is missing. If the block fails,
    nothing of its file is left.

    Raises:
        UserError: for an OSError, also one inside the block.
    """
    with _caching(path.parent), tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / path.name
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)


def check_cache(folder: Path) -> None:
    """Make a folder of the cache, before any work is done whose result it should keep.

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
