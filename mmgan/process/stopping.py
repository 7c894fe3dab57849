"""Signals that ask a run to stop, and how its processes agree on the step after which they stop."""

import contextlib
import os
import select
import signal
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mmgan.errors import Stopped

if TYPE_CHECKING:
    from accelerate import Accelerator

Gather = Callable[[Any], list[Any]]
"""This process's item -> the items of all processes."""

EXIT_CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGUSR1: 0}
"""Signal -> the exit code of a process that it stopped. 0 lets a scheduler requeue the job as one that went well."""

POLL = 1.0
"""Seconds between two looks at whether the launcher still lives."""

LAUNCHED = ("TORCHELASTIC_RUN_ID", "ACCELERATE_MIXED_PRECISION")
"""Environment variables of which torchrun and `accelerate launch` always set one for the processes they start."""


class StopRequests:
    """While the block runs, SIGTERM, SIGINT and SIGUSR1 ask the run to stop at the next step, and do nothing else.

    A thread waits for them, so that they are heard even while the main thread waits in a collective that never
    returns. Then:

    * before `share` was called there is nothing to save: the process exits at once;
    * after that the run has `deadline` seconds to save and to end; then the process exits in any case.

    A launcher that dies counts as SIGTERM: `accelerate launch` of one process does not pass signals on, and dies of
    them. Further signals change nothing. Main thread only, because Python allows signal handlers only there.

    Args:
        deadline: seconds.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self._signal = 0  # the first one heard; 0: none
        self._sharing = False
        self._lock = threading.Lock()  # between hearing a signal and beginning to share
        self._processes: Any = None  # the torch.distributed group that agrees; None: this process is alone
        self._rank = os.environ.get("RANK", "0")
        self._launcher = os.getppid() if any(name in os.environ for name in LAUNCHED) else None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> "StopRequests":
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        # The handlers do nothing: that there is one makes Python write the signal's number to the socket.
        self._handlers = {number: signal.signal(number, lambda *_: None) for number in EXIT_CODES}
        self._listener = threading.Thread(target=self._listen, name="stop requests", daemon=True)
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        """From here on there is something to save, and the processes stop together. All of them must call it."""
        if accelerator.num_processes > 1:
            import torch.distributed as dist

            # Over gloo, so that the GPU is not waited for.
            self._processes = dist.group.WORLD if dist.get_backend() == "gloo" else dist.new_group(backend="gloo")
        with self._lock:
            self._sharing = True

    def check(self) -> None:
        """Stop if any process was asked to. Collective; a step's end is the place for it.

        Raises:
            Stopped: on all processes alike.
        """
        asked = self._signal
        if self._processes is not None:
            import torch
            import torch.distributed as dist

            flag = torch.tensor(asked)
            dist.all_reduce(flag, dist.ReduceOp.MAX, group=self._processes)
            asked = int(flag)
        self._stop(asked)

    def gather(self, gather: Gather, item: Any) -> list[Any]:
        """gather(item), stopping if any process was asked to: for long work that gathers part after part.

        Raises:
            Stopped: on all processes alike.
        """
        pairs = gather((item, self._signal))
        self._stop(max(asked for _, asked in pairs))
        return [part for part, _ in pairs]

    def _stop(self, asked: int) -> None:
        if asked:
            self._hear(asked)  # the deadline holds for those too who were not asked themselves
            raise Stopped(signal.Signals(asked))

    def _listen(self) -> None:
        while True:
            ready, _, _ = select.select([self._reader], [], [], POLL)
            heard = self._reader.recv(64) if ready else b""
            if 0 in heard:
                return
            for number in heard:
                if number in EXIT_CODES:
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
            f" {self.deadline:g} s have passed; the last checkpoint stands"
        )

    def _exit(self, line: str) -> None:
        # Past Python's own files and their locks, which the main thread may hold for ever.
        if self._rank == "0":
            with contextlib.suppress(OSError):
                os.write(2, f"{line}\n".encode())
        os._exit(EXIT_CODES[signal.Signals(self._signal)])
