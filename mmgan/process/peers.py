"""Watch over the other processes of a run: one that dies, fails or falls silent ends all, with one line saying so."""

import contextlib
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mmgan.errors import printable

BEAT = 1.0
"""Seconds between two signs of life."""

SILENCE = 120.0
"""Seconds without a sign of life after which a process counts as lost. A process that was stopped itself does not count
the time in which it was, so a whole job may be suspended."""

GRACE = 2.0
"""Seconds in which the same error on several processes, and the end of all by a signal, count as one event."""

ALIVE, DONE, STOPPED = b".", b"0", b"s"
"""What a process says: that it lives, that it leaves well, that a signal ended it; or the digit of its exit code."""


@dataclass
class Peer:
    """Another process.

    Attributes:
        rank: its number.
        place: its host and process, in words.
        link: the connection to it.
        silent: seconds since its last sign of life.
        left: whether it has said that it leaves.
    """

    rank: int
    place: str
    link: socket.socket
    silent: float = 0.0
    left: bool = False


class Peers:
    """A thread that watches the other processes: the main process all of them, each of these the main one.

    It ends this process, with code 1 and one line, where another one ended without a word or is silent. After one that
    said why it fails, this process ends with the same code, if it does not by itself. The main thread may hang in a
    collective meanwhile.

    Args:
        rank: this process's.
        peers: those that it watches.
    """

    def __init__(self, rank: int, peers: list[Peer]) -> None:
        self.rank, self._peers = rank, peers
        self.main_failed = threading.Event()
        self._end_at, self._code, self._line = float("inf"), 0, ""
        self._reader, self._writer = socket.socketpair()
        self._thread = threading.Thread(target=self._watch, name="watch over the other processes", daemon=True)
        self._thread.start()

    def leave(self, word: bytes) -> None:
        """Tell the others how this process leaves, and watch no more."""
        self.say(word)
        self._writer.close()  # the thread ends
        self._thread.join()
        for peer in self._peers:
            peer.link.close()

    def settle(self) -> None:
        """Wait whether the fault of this process comes from another one that ended: then the thread ends it."""
        self._thread.join(2 * GRACE)

    def say(self, word: bytes) -> None:
        """Tell the others a word, without waiting for them."""
        for peer in self._peers:
            with contextlib.suppress(OSError):  # it is gone, or stopped and its buffer is full
                peer.link.send(word)

    def _watch(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._reader, selectors.EVENT_READ)
            for peer in self._peers:
                selector.register(peer.link, selectors.EVENT_READ, peer)
            beat = time.monotonic() + BEAT
            while True:
                wait = min(beat, self._end_at) - time.monotonic()
                for key, _ in selector.select(max(wait, 0.0)):
                    if key.data is None:
                        self._reader.close()
                        return
                    if not self._hear(key.data):
                        selector.unregister(key.fileobj)
                if time.monotonic() >= self._end_at:
                    self._end(self._code, self._line)
                if time.monotonic() >= beat:
                    # From now on, not from the last beat: time in which this process was stopped is no one's silence.
                    beat = time.monotonic() + BEAT
                    self.say(ALIVE)
                    self._count()

    def _hear(self, peer: Peer) -> bool:
        """Read what a process says; whether it may say more."""
        try:
            words = peer.link.recv(4096)
        except ConnectionError:
            words = b""
        peer.silent = 0.0
        if not words and not peer.left:
            self._end(1, f"{_name(peer)} ended without a word: it was killed, or its own messages say why")
        for word in (words[i : i + 1] for i in range(len(words))):
            if word != ALIVE:
                self._part(peer, word)
        return bool(words)

    def _part(self, peer: Peer, word: bytes) -> None:
        peer.left = True
        if word == DONE or self._end_at < float("inf"):
            return
        if peer.rank == 0:
            self.main_failed.set()
        self._end_at = time.monotonic() + GRACE  # the main thread has as long to end with the same error
        if word == STOPPED:
            self._code, self._line = 1, f"{_name(peer)} was stopped by a signal"
        else:
            self._code = int(word)

    def _count(self) -> None:
        for peer in self._peers:
            peer.silent += BEAT
            if peer.silent > SILENCE and not peer.left:
                fault = f"has given no sign of life for {SILENCE:g} s: it is stopped, or its machine cannot be reached"
                self._end(1, f"{_name(peer)} {fault}")

    def _end(self, code: int, line: str) -> None:
        if line and self.rank in (0, 1):  # only the main process can be lost to the others; one of them says so
            write_line(f"error: {line}")
        self.say(b"1" if code == 1 else b"2")
        os._exit(code)


_current: Peers | None = None


_in_program = False


@contextlib.contextmanager
def of_program() -> Iterator[None]:
    """In the block, processes that meet watch one another, and may be ended. Those of a Python program or a notebook,
    which calls mmgan as a library, are left alone."""
    global _in_program
    before, _in_program = _in_program, True
    try:
        yield
    finally:
        _in_program = before


def in_program() -> bool:
    """Whether this is such a block."""
    return _in_program


def watch_peers(rank: int, find: Callable[[], list[Peer]]) -> None:
    """Start the watch of this program, until `part`.

    Args:
        rank: this process's.
        find: connects to the processes that it watches. Collective.
    """
    global _current
    if _current is None:
        _current = Peers(rank, find())


def part(word: bytes) -> None:
    """Tell the others how this process leaves: `DONE`, `STOPPED`, or the digit of its exit code."""
    global _current
    if _current is not None:
        _current.leave(word)
        _current = None


def announce(word: bytes) -> None:
    """Tell the others how this process is about to end; from any thread."""
    if _current is not None:
        _current.say(word)


def settle() -> None:
    """Before a traceback: wait whether the fault is that another process ended. Then this one ends with one line."""
    if _current is not None:
        _current.settle()


def is_told_by_main() -> bool:
    """Before an error is told: whether this is not the main process, and the main one fails too."""
    if os.environ.get("RANK", "0") == "0":
        return False
    if _current is not None:
        return _current.main_failed.wait(GRACE)
    # They have not met. Where a launcher started both, it ends this process before this line is printed.
    time.sleep(GRACE)
    return False


def write_line(line: str) -> None:
    """Write a line to stderr, below a progress bar, and past Python's files: the main thread may hold their locks for
    ever."""
    with contextlib.suppress(OSError):
        os.write(2, f"\n{printable(line)}\n".encode())


def _name(peer: Peer) -> str:
    return f"process {peer.rank} ({peer.place})"
