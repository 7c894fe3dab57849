"""Real launches, told apart from other processes by a word in their environment."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ACCELERATE = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--num_machines", "1"]
ACCELERATE += ["--mixed_precision", "no", "--dynamo_backend", "no"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--no-python"]
"""What starts any program in two processes."""

ALONE = [*ACCELERATE, "--cpu", "--num_processes", "1"]
TWO = [*ACCELERATE, "--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
"""What starts two processes on a CPU; `--cpu --num_processes 2` silently starts one."""

PATIENCE = 100.0
"""Seconds after which a test gives up: far more than anything here takes."""


@dataclass
class Launch:
    """A command under way.

    Attributes:
        process: the command itself, a launcher as a rule.
        mark: the word in the environment of it and of all it starts.
        log: its output and errors.
    """

    process: "subprocess.Popen[bytes]"
    mark: str
    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def living(self) -> dict[int, str | None]:
        """Process id -> RANK of all processes of the launch that still run."""
        found: dict[int, str | None] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
                if f"MMGAN_TEST={self.mark}" in words and "\nState:\tZ" not in (folder / "status").read_text():
                    ranks = [word.removeprefix("RANK=") for word in words if word.startswith("RANK=")]
                    found[int(folder.name)] = ranks[0] if ranks else None
        return found

    def rank(self, rank: int) -> int:
        """The process id of a rank."""
        return next(pid for pid, name in self.living().items() if name == str(rank))

    def wait_for(self, path: Path, rows: int = 1) -> None:
        """Wait until a file has `rows` lines."""
        end = time.monotonic() + PATIENCE
        while not path.is_file() or path.read_bytes().count(b"\n") < rows:
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.05)

    def end(self) -> int:
        """The command's exit code, when all of its processes are gone."""
        code = self.process.wait(PATIENCE)
        end = time.monotonic() + PATIENCE
        while self.living():
            assert time.monotonic() < end, f"left behind: {self.living()}\n{self.said()}"
            time.sleep(0.1)
        return code


@contextlib.contextmanager
def launch(launcher: list[str], *words: str, log: Path) -> Iterator[Launch]:
    """The command under way; what is left of it at the end is killed."""
    mark = uuid.uuid4().hex
    environment = os.environ | {"ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1", "MMGAN_TEST": mark}
    with log.open("wb") as file:
        process = subprocess.Popen([*launcher, *words], cwd=ROOT, env=environment, stdout=file, stderr=file)
    started = Launch(process, mark, log)
    try:
        yield started
    finally:
        for pid in started.living():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
