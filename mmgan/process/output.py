"""Output that cannot stop a training: its reader may be slow, stop reading or leave, and its disk may be full."""

import contextlib
import errno
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, TextIO

PATIENCE = 1.0
"""Seconds to wait for a reader that has stopped reading. Then lines are dropped until it reads again."""


class SteadyOutput:
    """Stands in for sys.stdout or sys.stderr while a run trains.

    * The reader left (EPIPE, as with `| head`): `on_gone` is called once, and nothing is written any more.
    * The reader does not read and the pipe is full, or a terminal is halted: lines are dropped.
    * Writing fails otherwise, as on a full disk or a terminal that is gone: the line is dropped.

    Everything else is the stream's own.

    Args:
        stream: a text stream with a file descriptor.
        on_gone: called when the reader has left.
    """

    def __init__(self, stream: TextIO, on_gone: Callable[[], object]) -> None:
        self._stream, self._descriptor, self._on_gone = stream, stream.fileno(), on_gone
        self._waiting = ""
        self._stuck = self._gone = False
        self._lock = threading.RLock()  # the progress bar has a thread of its own
        with contextlib.suppress(OSError):
            stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write the text when its line is complete, or at the next `flush`."""
        with self._lock:
            self._waiting += text
            if self._waiting.endswith("\n"):
                self.flush()
        return len(text)

    def writelines(self, lines: Iterator[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what waits, as far as the reader takes it."""
        with self._lock:
            data = self._waiting.encode(self._stream.encoding or "utf-8", "replace")
            self._waiting = ""
            while data and not self._gone:
                # A pipe that is ready takes this many bytes without blocking.
                written = self._write(data[: select.PIPE_BUF])
                if not written:
                    return
                data = data[written:]

    def _write(self, data: bytes) -> int:
        try:
            _, ready, _ = select.select([], [self._descriptor], [], 0 if self._stuck else PATIENCE)
            self._stuck = not ready
            return os.write(self._descriptor, data) if ready else 0
        except OSError as error:
            if error.errno == errno.EPIPE:
                self._gone = True
                silence(self._descriptor)
                self._on_gone()
            return 0


@contextlib.contextmanager
def steady_output(on_gone: Callable[[], object]) -> Iterator[None]:
    """While the block runs, sys.stdout and sys.stderr are steady, where they have a file descriptor."""
    before = sys.stdout, sys.stderr
    # Handlers of logs may keep such a stream for good, and must not keep the run with it.
    callbacks = [on_gone]
    sys.stdout, sys.stderr = (_steady(stream, lambda: [call() for call in callbacks]) for stream in before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before
        callbacks.clear()


def _steady(stream: TextIO, on_gone: Callable[[], object]) -> Any:
    try:
        return SteadyOutput(stream, on_gone)
    except (OSError, ValueError, AttributeError):  # a notebook's, or one that a test captures
        return stream


def silence(descriptor: int) -> None:
    """From now on what is written to this descriptor goes nowhere, also from C++ and at the interpreter's end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def open_standard_streams() -> None:
    """Give a process that was started with closed stdout or stderr (`>&-`) ones that go nowhere. Otherwise printing
    fails, and a file that is opened later could take their place and get the messages."""
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(descriptor)
            except OSError:
                silence(descriptor)
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - it stays open
