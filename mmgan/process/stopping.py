"""Signals that ask a run to stop, and how its processes agree on its last step."""

import os
import select
import signal
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mmgan.errors import Stopped
from mmgan.process.peers import STOPPED, announce, write_line

if TYPE_CHECKING:
    from accelerate import Accelerator

Gather = Callable[[Any], list[Any]]
"""This process's item -> the items of all processes."""

EXIT_CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129, signal.SIGUSR1: 0, signal.SIGPIPE: 141}
"""Signal -> the exit code of a process that it stopped. With 0, a scheduler requeues the job. SIGPIPE stands for a
reader of the output that left; the signal itself stays ignored, because sockets raise it too."""

HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
"""Signals that get a handler."""

POLL = 1.0
"""Seconds between two checks that the launcher is alive."""

LAUNCHED = ("TORCHELASTIC_RUN_ID", "ACCELERATE_MIXED_PRECISION")
"""Environment variables: torchrun and `accelerate launch` set at least one of them for their processes."""


def heard_signals() -> list[signal.Signals]:
    """`HEARD` without a SIGHUP that this process was started to ignore."""
    return [number for number in HEARD if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]


class StopRequests:
    """Inside the block, SIGTERM, SIGINT, SIGHUP and SIGUSR1 only ask the run to stop at the next step.

    A thread waits for them. So a signal has its effect even while the main thread hangs in a collective:

    * before `share`, there is nothing to save: the process exits at once;
    * after `share`, the run has `deadline` seconds to save and to end; then the process exits in any case.

    The death of the launcher counts as SIGTERM: `accelerate launch` of one process does not pass signals on, and dies
    of them. A reader of the output that leaves counts as a signal too: `lose_reader`. SIGHUP stays ignored where it
    was, as under nohup. Further signals change nothing. Main thread only, because Python allows signal handlers only
    there.

    Args:
        deadline: seconds.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self._signal = 0  # the first one; 0: none
        self._sharing = False
        self._lock = threading.Lock()  # a signal does not come in the middle of `share`
        self._processes: Any = None  # the torch.distributed group that stops together; None: one process
        self._rank = os.environ.get("RANK", "0")
        self._launcher = os.getppid() if any(name in os.environ for name in LAUNCHED) else None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> "StopRequests":
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        # The handlers do nothing. Python writes a signal's number to the socket only if it has a handler.
        self._handlers = {number: signal.signal(number, lambda *_: None) for number in heard_signals()}
        self._listener = threading.Thread(target=self._listen, name="stop requests", daemon=True)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._writer.send(b"\0")  # no signal has this number: the listener ends
        self._listener.join()
        if self._timer is not None:
            self._timer.cancel()
        self._reader.close()
        self._writer.close()

    def share(self, accelerator: "Accelerator") -> None:
        """From now on there is something to save, and the processes stop together. Collective."""
        if accelerator.num_processes > 1:
            import torch.distributed as dist

            # Over gloo, which does not wait for the GPU.
            self._processes = dist.group.WORLD if dist.get_backend() == "gloo" else dist.new_group(backend="gloo")
        with self._lock:
            self._sharing = True

    def check(self) -> None:
        """Stop if any process was asked to. Collective; to be called after a step.

        Raises:
            Stopped: on all processes.
        """
        asked = self._signal
        if self._processes is not None:
            import torch
            import torch.distributed as dist

            flag = torch.tensor(asked)
            dist.all_reduce(flag, dist.ReduceOp.MAX, group=self._processes)
            asked = int(flag)
        self._stop(asked)

    def lose_reader(self) -> None:
        """Stop as for a signal, because nobody reads the output any more."""
        self._hear(signal.SIGPIPE)

    def gather(self, gather: Gather, item: Any) -> list[Any]:
        """Call gather(item), and stop if any process was asked to. For long work that gathers part after part.

        Raises:
            Stopped: on all processes.
        """
        pairs = gather((item, self._signal))
        self._stop(max(asked for _, asked in pairs))
        return [part for part, _ in pairs]

    def _stop(self, asked: int) -> None:
        if asked:
            self._hear(asked)  # starts the deadline on the processes that got no signal
            raise Stopped(signal.Signals(asked))

    def _listen(self) -> None:
        while True:
            ready, _, _ = select.select([self._reader], [], [], POLL)
            heard = self._reader.recv(64) if ready else b""
            if 0 in heard:
                return
            for number in heard:
                if number in HEARD:
                    self._hear(number)
            if self._launcher is not None and os.getppid() != self._launcher:
                self._hear(signal.SIGTERM)

    def _hear(self, number: int) -> None:
        with self._lock:
            if self._signal:
                return
            self._signal = number
            if not self._sharing:
                self._exit(f"stopped by {signal.Signals(number).name} before the first step: there is nothing to save")
            self._timer = threading.Timer(self.deadline, self._give_up)
            self._timer.daemon = True
            self._timer.start()

    def _give_up(self) -> None:
        self._exit(
            f"stopped by {signal.Signals(self._signal).name} without a new checkpoint: --stop-deadline"
            f" {self.deadline:g} s have passed; the last checkpoint is intact"
        )

    def _exit(self, line: str) -> None:
        if self._rank == "0":
            write_line(line)
        announce(STOPPED)
        os._exit(EXIT_CODES[signal.Signals(self._signal)])
