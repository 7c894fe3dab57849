"""Runs as processes of this machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mmgan.storage import storing
from mmgan.sweeps.definition import Run

GRACE = 10.0
"""Seconds after a run's --stop-deadline until a run that was asked to stop is killed."""


def command(run: Run, *, resume: bool) -> list[str]:
    """The run's whole command: resume from its checkpoint, or overwrite the run."""
    mode = ["--resume"] if resume else ["--overwrite"] if run.folder.config_file.is_file() else []
    return [sys.executable, "-m", "mmgan", *run.words, *mode]


def environment(threads: int) -> dict[str, str]:
    """This process's environment, with the number of threads for a run unless the user has set it.

    ACCELERATE_MIXED_PRECISION tells a run that it has a launcher: if the launcher dies, even of SIGKILL, the run ends
    as on SIGTERM. "no" is the default of a run without the variable.
    """
    return {"OMP_NUM_THREADS": str(threads), "ACCELERATE_MIXED_PRECISION": "no", **os.environ}


def start_process(
    words: Sequence[str], log: Path, resume: bool, variables: Mapping[str, str], new_session: bool = False
) -> "subprocess.Popen[bytes]":
    """Start a command whose output goes to `log`: appended with `resume`, else written from the start."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab" if resume else "wb") as file:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=variables,
            start_new_session=new_session,
        )


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LocalRuns:
    """Starts each run in its own process and session, so that Ctrl-C reaches only the sweep, which passes it on.

    Args:
        jobs: how many run at a time.
        gpus: each job's CUDA_VISIBLE_DEVICES in turn; empty: unchanged.
    """

    def __init__(self, jobs: int, gpus: Sequence[str] = ()) -> None:
        self.at_a_time = jobs
        self._gpus = gpus
        self._slots = list(range(jobs))
        self._threads = max(1, cores() // jobs)

    def start(self, runs: Sequence[tuple[Run, bool]]) -> "list[LocalRun]":
        """Start these (run, whether to resume)."""
        return [self._start(run, resume) for run, resume in runs]

    def _start(self, run: Run, resume: bool) -> "LocalRun":
        slot = self._slots.pop(0)
        variables = environment(self._threads)
        if self._gpus:
            variables["CUDA_VISIBLE_DEVICES"] = self._gpus[slot % len(self._gpus)]
        with storing(run.log):
            process = start_process(command(run, resume=resume), run.log, resume, variables, new_session=True)
        return LocalRun(process, float(run.config["stop_deadline"]), lambda: self._slots.append(slot))


class LocalRun:
    """A run under way."""

    def __init__(self, process: "subprocess.Popen[bytes]", deadline: float, on_end: Callable[[], None]) -> None:
        self._process = process
        self._deadline = deadline
        self._on_end = on_end
        self._kill_at: float | None = None

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        code = self._process.poll()
        if code is not None:
            self._on_end()
        elif self._kill_at is not None and time.monotonic() > self._kill_at:
            self._process.kill()
        return code

    def stop(self) -> None:
        """Ask it to save a checkpoint and end."""
        self._kill_at = time.monotonic() + self._deadline + GRACE
        self._process.send_signal(signal.SIGTERM)
