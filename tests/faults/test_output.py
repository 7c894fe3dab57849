"""A reader of the output that leaves, stops reading, or never was there; and a full disk behind the output."""

import fcntl
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from accelerate.state import AcceleratorState, GradientState

import mmgan.process.output
import mmgan.train_classifier
from mmgan.process.output import SteadyOutput, open_standard_streams
from mmgan.process.program import program
from mmgan.process.stopping import StopRequests, heard_signals
from mmgan.runs.folder import RunFolder
from mmgan.runs.session import Session
from tests.support.compare import assert_same_run
from tests.support.small_runs import CLASSIFIER

pytestmark = pytest.mark.slow(3)


def train(*flags: str) -> int:
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    return mmgan.train_classifier.main([*CLASSIFIER, "--checkpoint-every", "0", *flags])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert train("--out", str(out)) == 0
    return out


class Pipe:
    """A pipe of two pages, as sys.stdout or sys.stderr."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 8192)
        self.stream = io.TextIOWrapper(io.FileIO(os.dup(self.writer), "w"), write_through=True)

    def fill(self) -> None:
        os.write(self.writer, b"x" * 8192)

    def leave(self) -> None:
        os.close(self.reader)

    def read(self) -> str:
        return os.read(self.reader, 1 << 16).decode()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.stream.close()
    os.close(made.writer)


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_reader_that_leaves_ends_the_run_with_a_checkpoint(
    name: str, whole: Path, tmp_path: Path, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    note = Session.note_metrics

    def leave_at_3(session: Session, rows: list[dict[str, Any]]) -> None:
        note(session, rows)
        if rows and rows[-1]["step"] == 3:
            pipe.leave()
            print("a line that nobody reads", file=getattr(sys, name), flush=True)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "note_metrics", leave_at_3)
        patch.setattr(sys, name, pipe.stream)
        assert train("--out", str(out)) == 141
    assert [path.name for path in (out / "checkpoints").glob("step-*")] == ["step-00000003"]
    assert len(RunFolder(out).read_metrics()) == 3
    assert train("--out", str(out), "--resume") == 0
    assert (out / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert_same_run(whole, out)


@pytest.mark.parametrize("kind", ["full pipe", "full disk"])
def test_output_that_nobody_reads_does_not_stop_training(
    kind: str, whole: Path, tmp_path: Path, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mmgan.process.output, "PATIENCE", 0.05)
    stream = pipe.stream
    if kind == "full pipe":
        pipe.fill()
    else:
        stream = io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        assert train("--out", str(tmp_path / "run")) == 0
    stream.close()
    assert_same_run(whole, tmp_path / "run")


def test_a_steady_output_writes_what_it_is_given(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmgan.process.output, "PATIENCE", 0.05)
    gone: list[int] = []
    output: Any = SteadyOutput(pipe.stream, lambda: gone.append(1))
    output.write("a")
    output.writelines(iter(["b", "ä\n"]))
    print("c", end="", file=output, flush=True)
    assert pipe.read() == "abä\nc"
    output.write("d" * 9000 + "\n")  # more than the pipe holds
    assert pipe.read() == "d" * 8192
    print("e", file=output)
    assert pipe.read() == "e\n"
    assert output.encoding == pipe.stream.encoding
    pipe.leave()
    for _ in range(2):
        print("f", file=output)
    assert gone == [1]
    os.write(pipe.stream.fileno(), b"to nowhere")


def test_any_command_whose_reader_leaves(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    main = program(lambda argv: print("x" * 9000))
    monkeypatch.setattr(sys, "stdout", pipe.stream)
    pipe.leave()
    assert main([]) == 141
    assert main([]) == 0  # from then on it goes nowhere


def test_mmgan_help_into_head() -> None:
    """The real thing: no traceback, also none from the interpreter's end."""
    command = f"{sys.executable} -m mmgan --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (done.stdout.strip() in ("0", "141"), done.stderr) == (True, "")


def test_closed_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    open_standard_streams()
    print("nowhere")
    print("nowhere", file=sys.stderr)
    sys.stdout.close()
    sys.stderr.close()


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in heard_signals()
        with StopRequests(1.0):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_sigpipe_itself_stays_ignored() -> None:
    """Sockets raise it too."""
    handlers: list[Callable[..., Any] | int | None] = []
    with StopRequests(1.0):
        handlers.append(signal.getsignal(signal.SIGPIPE))
    assert handlers == [signal.SIG_IGN]
