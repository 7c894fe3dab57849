"""Writing files so that they are whole or not there, and so that what a disk refuses is told in one line."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmgan.errors import StorageFailed


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn whatever the operating system refuses into one line that names the file, `path` where it names none.

    Raises:
        StorageFailed: for an OSError inside.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageFailed(
            f"{error.filename or path} cannot be written ({reason}): what was saved before stands; make room or mend"
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
    """Write beside the file and rename: a reader sees the old content or the new, never a part.

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
