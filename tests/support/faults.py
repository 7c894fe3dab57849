"""What may happen to a trainer in a step: hangs, a signal, an end without a word. Each takes whether this is the rank
that it happens to."""

import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEP = 3
"""The batch, from 0, at which it happens."""

DELAY = 0.5
"""Seconds from there to the signal, in which another rank comes to wait in a collective."""


def at_step(action: Callable[[], object]) -> None:
    import mmgan.data.batches

    batch = mmgan.data.batches.Batches.batch

    def broken(self: Any, step: int) -> Any:
        if step == STEP:
            action()
        return batch(self, step)

    mmgan.data.batches.Batches.batch = broken  # type: ignore[method-assign]


def hang(after: float, number: signal.Signals) -> None:
    """Send this process a signal while it sits here for ever."""
    send(after, number)
    time.sleep(1000)


def send(after: float, number: signal.Signals) -> None:
    timer = threading.Timer(after, os.kill, [os.getpid(), number])
    timer.daemon = True
    timer.start()


def hang_in_loading(here: bool) -> None:
    """It never gets its data, and is asked to stop."""
    import mmgan.gan.build

    if here:
        mmgan.gan.build.load_split = lambda *_: hang(DELAY, signal.SIGINT)


def hang_in_step(here: bool) -> None:
    """It never comes back from a step, and all ranks are asked to stop."""
    at_step(lambda: hang(DELAY, signal.SIGTERM) if here else send(DELAY, signal.SIGTERM))


def leave(here: bool) -> None:
    """It ends in the middle of a step, with code 0, and cleans nothing up."""
    if here:
        at_step(lambda: os._exit(0))


def hear(number: signal.Signals, here: bool) -> None:
    """It alone is asked to stop."""

    def signal_self() -> None:
        os.kill(os.getpid(), number)
        time.sleep(0.1)  # so that it is heard before the step ends

    if here:
        at_step(signal_self)


def die(here: bool) -> None:
    """It is killed in the middle of a step."""
    if here:
        at_step(lambda: os.kill(os.getpid(), signal.SIGKILL))


def stop(here: bool) -> None:
    """It is stopped in the middle of a step, and goes on after all others have given it up."""
    import mmgan.process.peers

    mmgan.process.peers.SILENCE = 2.0

    def stop_self() -> None:
        if os.fork() == 0:
            time.sleep(2 * mmgan.process.peers.SILENCE + 2)
            os.kill(os.getppid(), signal.SIGCONT)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGSTOP)

    if here:
        at_step(stop_self)


def pause_all(_: bool) -> None:
    """All are stopped together for longer than any may be silent, as a scheduler suspends a job."""
    import mmgan.process.peers

    mmgan.process.peers.SILENCE = 20.0

    def stop_self() -> None:
        if os.fork() == 0:
            time.sleep(25)
            os.kill(os.getppid(), signal.SIGCONT)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGSTOP)

    at_step(stop_self)


def go_elsewhere(here: bool) -> None:
    """It does not see the others' files."""
    import mmgan.process.meeting

    mmgan.process.meeting.MEETING = 5.0
    if here:
        # deep, so that the many ".." of a relative name end below it and not at the root, where they would be right
        folder = Path(tempfile.mkdtemp(), *"abcdefgh")
        folder.mkdir(parents=True)
        os.chdir(folder)


def take_port(here: bool) -> None:
    """Another program has the port at which they are to meet."""
    import mmgan.process.meeting

    mmgan.process.meeting.MEETING = 3.0
    if here:
        server = socket.create_server((os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])))
        KEPT.append(server)


KEPT: list[socket.socket] = []
"""What stays open until the process ends."""

FAULTS: dict[str, Callable[[bool], None]] = {
    "hang in loading": hang_in_loading,
    "hang in step": hang_in_step,
    "leave": leave,
    "die": die,
    "stop": stop,
    "pause all": pause_all,
    "elsewhere": go_elsewhere,
    "port taken": take_port,
    **{number.name: lambda here, n=number: hear(n, here) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)},
}
