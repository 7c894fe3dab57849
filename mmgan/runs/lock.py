"""One run at a time in a run folder: a lock that the system releases with the process that holds it."""

import errno
import fcntl
import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from mmgan.errors import UserError
from mmgan.runs.belongings import LOCK
from mmgan.storage import storing

BEAT = 10.0
"""Seconds between two heartbeats."""

SILENCE = 60.0
"""Seconds without a heartbeat after which a process on another host, whose lock cannot be seen here, counts as gone."""

HELD = (errno.EACCES, errno.EAGAIN)
UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)

_own: set[Path] = set()
"""The lock files of this process. It must not open them again: closing any descriptor would release the lock."""


class RunLock:
    """The lock of a run folder. The file run.lock is there while a run holds it, with host, process and heartbeat.

    It is a lock of the whole process (`fcntl.lockf`) on one descriptor that stays open, so it does not outlive the
    process, however that ends. On a mount that does not pass locks on to other hosts, the heartbeat takes its place: a
    holder on another host counts as alive until it has been silent for `SILENCE` seconds.

    Attributes:
        supported: whether the file system knows locks; True until `take` has found that it does not.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self.supported = folder, folder / LOCK, True
        self._descriptor: int | None = None
        self._done = threading.Event()

    def probe(self) -> None:
        """Test whether another run holds the lock. Nothing is made or written.

        Raises:
            UserError: naming its host and process.
        """
        self._refuse_own()
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return  # not there, or its folder cannot be written: `take` says so
        try:
            self._lock(descriptor)
        finally:
            os.close(descriptor)

    def take(self) -> None:
        """Take the lock, and keep it until `release`. The folder must exist.

        Raises:
            UserError: if another run holds it, naming its host and process.
            StorageFailed: if the lock file cannot be made.
        """
        self._refuse_own()
        with storing(self.path):
            while True:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                try:
                    self._lock(descriptor)
                    if self._is_current(descriptor):
                        break
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)  # its holder removed it in between
            self._descriptor, self._resolved = descriptor, self.path.resolve()
            _own.add(self._resolved)
            self._beat()
        self._done.clear()
        self._heart = threading.Thread(target=self._keep_beating, name="heartbeat of the run lock", daemon=True)
        self._heart.start()

    def release(self) -> None:
        """Remove the file and give the lock back; nothing if it is not held."""
        if self._descriptor is None:
            return
        self._done.set()
        self._heart.join()
        try:
            if self._is_current(self._descriptor):
                self.path.unlink()
        except OSError:
            pass  # the folder is gone or read-only; the lock goes with the descriptor
        os.close(self._descriptor)
        _own.discard(self._resolved)
        self._descriptor = None

    def __enter__(self) -> "RunLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _refuse_own(self) -> None:
        if self.path.resolve() in _own:
            raise UserError(f"this process is already training in {self.folder}: name another folder with --out")

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in HELD:
                raise self._refusal(_read(descriptor), "") from None
            if error.errno not in UNSUPPORTED:
                raise
            self.supported = False
        holder = _read(descriptor)
        host, silence = holder.get("host"), _silence(holder)
        if host is not None and host != socket.gethostname() and silence < SILENCE:
            more = f"; its lock is not visible on {socket.gethostname()}, so it counts as alive for {SILENCE:g} s"
            raise self._refusal(holder, more)

    def _refusal(self, holder: dict[str, Any], more: str) -> UserError:
        silence, host = _silence(holder), holder.get("host", "an unknown host")
        life = "" if silence == float("inf") else f", last heartbeat {silence:.0f} s ago"
        return UserError(
            f"{self.folder} is in use by process {holder.get('process', '?')} on {host}{life}{more}:"
            " wait for it, stop it, or name another folder with --out"
        )

    def _is_current(self, descriptor: int) -> bool:
        """Whether the open file is still the one that bears the name."""
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def _beat(self) -> None:
        assert self._descriptor is not None
        content = {"host": socket.gethostname(), "process": os.getpid(), "heartbeat": time.time()}
        text = f"{json.dumps(content)}\n".encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    def _keep_beating(self) -> None:
        while not self._done.wait(BEAT):
            try:
                self._beat()
            except OSError:
                continue  # a full disk or a mount that hangs for a while; the lock itself is held


def _read(descriptor: int) -> dict[str, Any]:
    """What the holder wrote; empty if it has written nothing yet."""
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _silence(holder: dict[str, Any]) -> float:
    """Seconds since the last heartbeat; infinity if there is none, or it lies more than a minute in the future."""
    beat = holder.get("heartbeat")
    if not isinstance(beat, int | float) or beat > time.time() + SILENCE:
        return float("inf")
    return max(0.0, time.time() - beat)
