"""Many runs of the real programs, each a process of its own that may be killed at one of its writes.

One Python imports what the programs need and forks for each job of `run_all(jobs)`: a run costs what its steps cost. A
write point is an audit event of the interpreter (a file opened to be written, a rename, a folder made or removed, a
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
import traceback
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

CHANGES = ("os.rename", "os.mkdir", "os.rmdir", "os.remove")


@dataclass
class Job:
    """One run.

    Attributes:
        program: "gan" or "classifier".
        argv: its flags.
        inside: writes count that have this in their path.
        kill_at: the write point before which it is killed, from 0; None: it runs to its end.
        tear: the file in whose middle it is killed, from 0.
        full: from this write on every write meets a full disk: half of the content, then ENOSPC.
        version: what the run takes for mmgan's version.
        stop_at: a step after which the process saves a checkpoint and is killed, wherever in an epoch that is.
        processes: how many share the run, as torchrun starts them.
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


@dataclass
class Done:
    """What came of it in the main process: code (negative: the signal), stderr, stdout, and the write points met."""

    code: int
    err: str
    out: str
    writes: list[str] = field(default_factory=list)

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
    cache_folder = tempfile.TemporaryDirectory()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.forks"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1", "MMGAN_CACHE": cache_folder.name},
        text=True,
    )

    @atexit.register
    def end() -> None:
        with process, cache_folder:
            process.kill()

    return process


def run_all(jobs: list[Job]) -> list[Done]:
    """Run the jobs one after the other."""
    process = server()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([asdict(job) for job in jobs]) + "\n")
    process.stdin.flush()
    return [Done(**values) for values in json.loads(process.stdout.readline())]


def run_one(job: Job) -> Done:
    return run_all([job])[0]


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
    import mmgan.train_classifier
    import mmgan.train_gan

    if job.tear is not None or job.full is not None:
        break_writes(job)
    if job.stop_at is not None:
        stop_after(job.stop_at)
    if job.version is not None:
        mmgan.runs.facts.version = lambda package: job.version  # type: ignore[assignment, misc]
    note_writes(job, log)
    program = mmgan.train_gan if job.program == "gan" else mmgan.train_classifier
    return program.main(job.argv)


def fork(job: Job) -> Done:
    """Run a job in as many forks as it has processes, and wait for all."""
    with tempfile.TemporaryDirectory() as place, socket.socket() as free:
        out, err, log = (Path(place) / name for name in ("out", "err", "log"))
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        sys.stdout.flush()
        children = []
        for rank in range(job.processes):
            child = os.fork()
            if child == 0:
                if job.processes > 1:
                    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(job.processes)}
                    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
                be_child(job, *(path.with_suffix(f".{rank}") if rank else path for path in (out, err, log)))
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        writes = log.read_text().splitlines() if log.exists() else []
        return Done(codes[0], err.read_text(), out.read_text(), writes)


def be_child(job: Job, out: Path, err: Path, log: Path) -> None:
    code = 1
    try:
        for path, descriptor in ((out, 1), (err, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
        code = run_job(job, log)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _main() -> None:
    import matplotlib.pyplot  # noqa: F401 - imported once for all forks, as is what follows
    import sklearn.datasets  # noqa: F401
    import torchvision.utils  # noqa: F401

    for line in sys.stdin:
        print(json.dumps([asdict(fork(Job(**values))) for values in json.loads(line)]), flush=True)


if __name__ == "__main__":
    _main()
