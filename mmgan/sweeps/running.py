"""Run a sweep, one or several runs at a time; a failed run does not stop the others."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal, Protocol

from tqdm.auto import tqdm

from mmgan.errors import Stopped, UserError
from mmgan.process.stopping import heard_signals
from mmgan.sweeps.definition import Run, Sweep, list_runs
from mmgan.sweeps.local import LocalRuns
from mmgan.sweeps.state import State, find_state, is_done

POLL = 0.1
"""Seconds between two looks at the runs."""


@dataclass(frozen=True)
class Ended:
    """A run that ended, and how."""

    run: Run
    state: Literal["done", "failed"]
    why: str = ""  # one line, if it failed


@dataclass(frozen=True)
class SweepResult:
    """All runs of a sweep, in its order of seeds and arms."""

    sweep: Sweep
    runs: list[Ended]

    @property
    def failed(self) -> list[Ended]:
        return [ended for ended in self.runs if ended.state == "failed"]


class UnderWay(Protocol):
    """A run that was started somewhere."""

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""

    def stop(self) -> None:
        """Ask it to save a checkpoint and end."""


class Machines(Protocol):
    """Where runs are started."""

    @property
    def at_a_time(self) -> int:
        """How many runs it takes at a time."""

    def start(self, runs: Sequence[tuple[Run, bool]]) -> Sequence[UnderWay]:
        """Start these (run, whether to resume)."""


def plan_sweep(sweep: Sweep) -> list[tuple[Run, State]]:
    """All runs and the state of each. Nothing is written.

    Raises:
        UserError: if an arm's settings are refused, or a folder holds another run.
    """
    return [(run, find_state(run)) for run in list_runs(sweep)]


def run_sweep(
    sweep: Sweep,
    *,
    jobs: int = 1,
    say: Callable[[str], None] = print,
    machines: Machines | None = None,
) -> SweepResult:
    """Finish a sweep; each run is the real command in its own process. Main thread only.

    Finished runs are skipped, unfinished ones continue from their checkpoints. A failed run prints one line and does
    not stop the others. SIGINT, SIGTERM and SIGHUP are passed on as SIGTERM; the runs save a checkpoint and end first.

    Args:
        sweep: the runs.
        jobs: runs at a time, each with its share of the cores unless OMP_NUM_THREADS is set.
        say: prints a line above the progress bar.
        machines: where the runs are started; None: here.

    Raises:
        UserError: before any run starts, if settings are refused or a folder holds another run.
        Stopped: if a signal ended the sweep.
    """
    if jobs < 1:
        raise UserError(f"--jobs {jobs} is out of range: it must be at least 1")
    planned = plan_sweep(sweep)
    machines = machines or LocalRuns(jobs)
    left = [(run, state == "to resume") for run, state in planned if state != "done"]
    ended = {run.folder.path: Ended(run, "done") for run, state in planned if state == "done"}
    with tqdm(total=len(planned), initial=len(ended), unit="run", desc=sweep.folder.name, dynamic_ncols=True) as bar:

        def note(run: Run, why: str) -> None:
            ended[run.folder.path] = Ended(run, "failed" if why else "done", why)
            bar.update(1)
            if why:
                with tqdm.external_write_mode():
                    say(f"failed: {run.name}: {why} ({run.log})")

        def show(running: int) -> None:
            states = Counter(one.state for one in ended.values())
            bar.set_postfix(running=running, failed=states["failed"], refresh=True)

        with _signals() as heard:
            _run_all(left, machines, heard, note, show)
    if heard:
        done = sum(one.state == "done" for one in ended.values())
        say(
            f"stopped by {heard[0].name}: {done} of {len(planned)} runs are done, the others go on from their"
            " checkpoints with the same command"
        )
        raise Stopped(heard[0])
    return SweepResult(sweep, [ended[run.folder.path] for run, _ in planned])


def _run_all(
    left: Sequence[tuple[Run, bool]],
    machines: Machines,
    heard: Sequence[signal.Signals],
    note: Callable[[Run, str], None],
    show: Callable[[int], None],
) -> None:
    """Start runs as slots become free and wait for all of them; call `note` for each one that ends."""
    waiting, running = list(left), dict[Path, tuple[Run, UnderWay]]()
    asked = False
    try:
        while running or (waiting and not heard):
            room = machines.at_a_time - len(running)
            if waiting and room > 0 and not heard:
                batch, waiting = waiting[:room], waiting[room:]
                running |= {
                    run.folder.path: (run, way) for (run, _), way in zip(batch, machines.start(batch), strict=True)
                }
                show(len(running))
            if heard and not asked:
                asked = True
                for _, way in running.values():
                    way.stop()
            for path, (run, way) in list(running.items()):
                if (code := way.poll()) is not None:
                    del running[path]
                    if not heard or is_done(run):
                        note(run, _fault(run, code))
                    show(len(running))
            time.sleep(POLL)
    finally:  # an error of our own leaves no run behind either
        for _, way in running.values():
            way.stop()
        while any(way.poll() is None for _, way in running.values()):
            time.sleep(POLL)


def _fault(run: Run, code: int) -> str:
    """Why a run is not done, in one line; "" if it is."""
    if code == 0:
        return "" if is_done(run) else "it ended before its last step"
    lines = [line.strip() for line in run.log.read_text(errors="replace").replace("\r", "\n").splitlines()]
    last = next((line for line in reversed(lines) if line.startswith("error: ")), None)
    last = last or next((line for line in reversed(lines) if line), "it said nothing")
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"{how}: {last.removeprefix('error: ')}"


@contextmanager
def _signals() -> Iterator[list[signal.Signals]]:
    """While the block runs, SIGINT, SIGTERM and SIGHUP are added to the list and do nothing else."""
    heard: list[signal.Signals] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(signal.Signals(number))

    numbers = [number for number in heard_signals() if number != signal.SIGUSR1]
    before = {number: signal.signal(number, hear) for number in numbers}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
