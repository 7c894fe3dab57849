"""Many runs of the real programs, each a process of its own that may be killed at one of its writes.

One Python imports what the programs need and forks for each job: a run costs what its steps cost. `run_all(jobs)` runs
trainers to their end; `ForkedPopen` stands in for `subprocess.Popen` where a test's subject starts `python -m mmgan`.
Charts are drawn blank: what draws them has tests of its own.

A write point is an audit event of the interpreter (a file opened to be written, a rename, a folder made or removed, a
file removed) inside the run's folder; the process is killed, by SIGKILL, just before the n-th. With "tear" it is killed
in the middle of the n-th file's content instead.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from tests.support.faults import FAULTS
from tests.support.preload import preload

PROGRAMS = {"gan": "mmgan.train_gan", "classifier": "mmgan.train_classifier", "mmgan": "mmgan.__main__"}
CHANGES = ("os.rename", "os.mkdir", "os.rmdir", "os.remove")


@dataclass
class Job:
    """One run.

    Attributes:
        program: "gan", "classifier", "mmgan" for a command of `python -m mmgan`, or a module that has main(argv).
        argv: its flags.
        inside: writes count that have this in their path.
        kill_at: the write point before which it is killed, from 0; None: it runs to its end.
        tear: the file in whose middle it is killed, from 0.
        full: from this write on every write meets a full disk: half of the content, then ENOSPC.
        version: what the run takes for mmgan's version.
        stop_at: a step after which the process saves a checkpoint and is killed, wherever in an epoch that is.
        processes: how many share the run, as torchrun starts them.
        fault: one of tests.support.faults, by its name.
        fault_rank: the process that it happens in.
    """

    program: str
    argv: list[str]
    inside: str = "/run"
    kill_at: int | None = None
    tear: int | None = None
    full: int | None = None
    version: str | None = None
    stop_at: int | None = None
    processes: int = 1
    fault: str | None = None
    fault_rank: int = 0


@dataclass
class Done:
    """What came of it.

    Attributes:
        codes: the exit code of each process; negative: the signal that killed it.
        err: stderr of the main process.
        errs: stderr of each process.
        out: stdout of the main process.
        writes: the write points that the main process met.
    """

    codes: list[int]
    err: str
    out: str
    writes: list[str] = field(default_factory=list)
    errs: list[str] = field(default_factory=list)

    @property
    def code(self) -> int:
        """The main process's."""
        return self.codes[0]

    @property
    def error(self) -> str:
        """The one line that the run is to fail with."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


@cache
def server() -> "subprocess.Popen[str]":
    """The Python that forks, one for all tests of this process."""
    own_cache = tempfile.TemporaryDirectory()
    cache_folder = os.environ.get("MMGAN_TEST_CACHE", own_cache.name)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.forks"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1", "MMGAN_CACHE": cache_folder},
        text=True,
    )

    @atexit.register
    def end() -> None:
        with process, own_cache:
            process.kill()

    return process


ASKING = threading.Lock()


def ask(request: str, what: Any) -> Any:
    process = server()
    assert process.stdin is not None
    assert process.stdout is not None
    with ASKING:
        process.stdin.write(json.dumps([request, what]) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())


def run_all(jobs: list[Job]) -> list[Done]:
    """Run the jobs one after the other."""
    return [Done(**values) for values in ask("run", [asdict(job) for job in jobs])]


def run_one(job: Job) -> Done:
    return run_all([job])[0]


class ForkedPopen:
    """As much of `subprocess.Popen` as a sweep needs of it, for `python -m mmgan WORDS` in a fork."""

    def __init__(self, words: Sequence[str], *, stdout: IO[bytes], env: dict[str, str], **_: Any) -> None:
        self.pid = start_command(words, stdout.name, stdout.name, env)
        self.code: int | None = None

    def poll(self) -> int | None:
        if self.code is None:
            self.code = ask("poll", self.pid)
        return self.code

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def forked_run(words: Sequence[str], *, env: dict[str, str], **_: Any) -> "subprocess.CompletedProcess[str]":
    """As much of `subprocess.run` as an evaluation needs of it, for `python -m mmgan WORDS` in a fork."""
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place) / "out", Path(place) / "err"
        pid = start_command(words, str(out), str(err), env)
        while (code := ask("poll", pid)) is None:
            time.sleep(0.02)
        return subprocess.CompletedProcess(words, code, out.read_text(), err.read_text())


def start_command(words: Sequence[str], out: str, err: str, env: dict[str, str]) -> int:
    assert list(words[:3]) == [sys.executable, "-m", "mmgan"], words
    command = {"argv": list(words[3:]), "out": out, "err": err, "env": env, "cwd": str(Path.cwd())}
    pid: int = ask("start", command)
    return pid


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def note_writes(job: Job, log: Path) -> None:
    """Note the write points in `log`, and die before the one the job names."""
    count = 0

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal count
        writes = event == "open" and isinstance(args[1], str) and args[1][0] in "wax"
        if not (writes or event in CHANGES) or job.inside not in str(args[0]) or str(args[0]) == str(log):
            return
        if count == job.kill_at:
            kill_self()
        count += 1
        with open(log, "a") as file:  # noqa: PTH123 - Path.open would be no different
            file.write(f"{event} {Path(str(args[0])).name}\n")

    sys.addaudithook(hook)


def break_writes(job: Job) -> None:
    """Tear a file, or fill the disk."""
    import errno

    import mmgan.runs.checkpoints
    import mmgan.storage

    count, write = 0, mmgan.storage.write_flushed

    def broken(path: Path, content: bytes) -> str:
        nonlocal count
        count += 1
        tears, full = count - 1 == job.tear, job.full is not None and count - 1 >= job.full
        if tears or full:
            path.write_bytes(content[: len(content) // 2])
        if tears:
            kill_self()
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, content)

    mmgan.storage.write_flushed = broken
    mmgan.runs.checkpoints.write_flushed = broken


def stop_after(step: int) -> None:
    from mmgan.runs.session import Session

    note = Session.note_metrics

    def note_and_stop(session: Session, rows: list[dict[str, Any]]) -> None:
        note(session, rows)
        if rows and rows[-1]["step"] == step:
            session.keep_checkpoint(step)
            kill_self()

    Session.note_metrics = note_and_stop  # type: ignore[method-assign]


def run_job(job: Job, log: Path) -> int:
    """In the fork: the program itself."""
    import mmgan.runs.facts

    if job.tear is not None or job.full is not None:
        break_writes(job)
    if job.stop_at is not None:
        stop_after(job.stop_at)
    if job.version is not None:
        mmgan.runs.facts.version = lambda package: job.version  # type: ignore[assignment, misc]
    if job.fault is not None:
        FAULTS[job.fault](int(os.environ.get("RANK", "0")) == job.fault_rank)
    note_writes(job, log)
    return run_program(job.program, job.argv)


def run_program(name: str, argv: list[str]) -> int:
    code: int | None = import_module(PROGRAMS.get(name, name)).main(argv)
    return code or 0


def fork(job: Job) -> Done:
    """Run a job in as many forks as it has processes, and wait for all."""
    with tempfile.TemporaryDirectory() as place, socket.socket() as free:
        out, err, log = (Path(place) / name for name in ("out", "err", "log"))
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        children, errs = [], []
        for rank in range(job.processes):
            own_out, own_err, own_log = (path.with_suffix(f".{rank}") if rank else path for path in (out, err, log))
            errs.append(own_err)
            environment = {}
            if job.processes > 1:
                environment = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(job.processes)}
                environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            children.append(start(lambda log=own_log: run_job(job, log), own_out, own_err, environment))
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        writes = log.read_text().splitlines() if log.exists() else []
        return Done(codes, err.read_text(), out.read_text(), writes, [path.read_text() for path in errs])


def start(action: Callable[[], int], out: Path, err: Path, environment: dict[str, str]) -> int:
    """Do it in a fork, which ends with its code; the process id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.environ |= environment
        for path, descriptor in ((out, 1), (err, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
        code = action()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def fork_command(argv: list[str], out: str, err: str, env: dict[str, str], cwd: str) -> int:
    def command() -> int:
        os.setsid()
        os.chdir(cwd)
        for name in set(os.environ) - set(env):
            del os.environ[name]
        return run_program("mmgan", argv)

    return start(command, Path(out), Path(err), env)


def poll(child: int) -> int | None:
    ended, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


REQUESTS: dict[str, Callable[[Any], Any]] = {
    "run": lambda jobs: [asdict(fork(Job(**job))) for job in jobs],
    "start": lambda command: fork_command(**command),
    "poll": poll,
}


def _main() -> None:
    preload()
    for line in sys.stdin:
        request, what = json.loads(line)
        print(json.dumps(REQUESTS[request](what)), flush=True)


if __name__ == "__main__":
    # Under its own name, so that a fault or a program finds this module and not a second one.
    from tests.support.forks import _main as serve

    serve()
