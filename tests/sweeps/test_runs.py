"""Sweeps of real commands in processes of their own: done once, failed, stopped, gone on with."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmgan.commands.sweep import main
from mmgan.errors import Stopped
from mmgan.sweeps import local
from mmgan.sweeps.definition import Run, list_runs
from mmgan.sweeps.local import LocalRuns
from mmgan.sweeps.read import read_sweep
from mmgan.sweeps.running import run_sweep
from tests.support.sweep_files import TINY, write_sweep

pytestmark = pytest.mark.slow(25)

PATIENCE = 100.0
"""Seconds after which a test gives up: far more than anything here takes."""

LONG = TINY | {"epochs": 60, "checkpoint_every": 10, "log_every": 6}
"""A run that is still under way when it is stopped."""


@pytest.fixture(autouse=True)
def _one_thread_and_no_foreign_accelerate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")


@pytest.mark.usefixtures("forked_runs")
def test_failures_are_told_and_what_is_done_is_not_done_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_sweep(tmp_path, baseline={}, arms={"bad": {"mix": "no-such-layer"}})
    assert main([str(file), "--jobs", "2"]) == 1
    said, error = capsys.readouterr()
    [line] = [line for line in said.splitlines() if line.startswith("failed: ")]
    assert line.startswith("failed: bad, seed 0: exit code 2: layer 'no-such-layer' is not in this network")
    assert line.endswith(f"({tmp_path / 'runs/bad/seed0.log'})")
    assert "error: 1 of 2 runs failed (bad, seed 0): the same command tries them again" in error
    scores = tmp_path / "runs/baseline/seed0/scores.json"
    test_error = json.loads(scores.read_text())["last"]["test"]["error_percent"]
    table = (tmp_path / "runs/summary.md").read_text()
    assert f"| baseline        |   1 | {test_error:.2f} |" in table
    assert "* bad, seed 0 is left out: it failed (exit code 2" in table
    assert table in said
    assert "test error" in (tmp_path / "runs/baseline/seed0.log").read_text()  # all that the run said

    before = scores.stat().st_ino, scores.stat().st_mtime_ns
    write_sweep(tmp_path, baseline={"log_every": 1})  # how it is watched may differ
    assert main([str(file), "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("done       baseline, seed 0")
    assert main([str(file)]) == 0
    assert (scores.stat().st_ino, scores.stat().st_mtime_ns) == before
    write_sweep(tmp_path, baseline={"alpha": 0.5})
    assert main([str(file)]) == 2
    assert f"{tmp_path / 'runs/baseline/seed0'} holds a run with other settings (alpha is 2" in capsys.readouterr().err


@contextlib.contextmanager
def launched(file: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`mmgan sweep` in a process of its own, killed at the end if it still runs."""
    with (file.parent / "said").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "mmgan", "sweep", str(file)], stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(what: Path, lines: int, process: "subprocess.Popen[bytes] | None" = None) -> None:
    """Wait until a file has more lines than that, while the process runs."""
    end = time.monotonic() + PATIENCE
    while not what.is_file() or what.read_bytes().count(b"\n") <= lines:
        assert process is None or process.poll() is None, what
        assert time.monotonic() < end, what
        time.sleep(0.02)


def living(folder: Path) -> list[int]:
    """Processes that have this folder in their command, zombies apart."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (
                str(folder).encode() in (path / "cmdline").read_bytes()
                and "\nState:\tZ" not in (path / "status").read_text()
            ):
                found.append(int(path.name))
    return found


def wait_for_none(folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while living(folder):
        assert time.monotonic() < end, living(folder)
        time.sleep(0.05)


def test_a_stopped_sweep_keeps_checkpoints_leaves_nothing_behind_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    file = write_sweep(tmp_path, baseline={}, settings=LONG)
    [run] = list_runs(read_sweep(file))

    with launched(file) as sweep:  # killed outright: the run sees it and ends as if it were stopped
        wait_for(run.folder.metrics_file, 0, sweep)
        sweep.kill()
        sweep.wait()
        wait_for_none(run.folder.path)
    first = len(run.folder.read_metrics())
    assert (run.folder.checkpoints / f"step-{first:08d}").is_dir()
    assert "stopped by SIGTERM after step" in run.log.read_text()

    with launched(file) as sweep:
        wait_for(run.folder.metrics_file, first, sweep)
        sweep.send_signal(signal.SIGTERM)
        assert sweep.wait(PATIENCE) == 143
        assert not living(run.folder.path)  # it waited for the run
    second = len(run.folder.read_metrics())
    assert first < second < 360
    assert (run.folder.checkpoints / f"step-{second:08d}").is_dir()
    assert "stopped by SIGTERM: 0 of 1 runs are done, the others go on" in (tmp_path / "said").read_text()

    assert main([str(file), "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("to resume  baseline, seed 0")
    request.getfixturevalue("forked_runs")
    assert main([str(file)]) == 0
    log = run.log.read_text()
    for step in (first, second):
        assert f"resumed from {run.folder.checkpoints / f'step-{step:08d}'} at step {step}" in log
    assert [row["step"] for row in run.folder.read_metrics()] == list(range(1, 361))


def test_a_run_that_left_no_checkpoint_is_begun_anew_and_submitit_hands_it_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_sweep(tmp_path, baseline={})
    [run] = list_runs(read_sweep(file))
    run.folder.path.mkdir(parents=True)
    run.folder.write_config(run.config)
    run.folder.metrics_file.write_text('{"step": 1}\n')
    assert main([str(file), "--cluster", "local"]) == 0
    assert (tmp_path / "runs/summary.csv").is_file()
    assert "test error" in run.log.read_text()
    assert [row["step"] for row in run.folder.read_metrics()] == list(range(1, 13))
    assert list((tmp_path / "runs/submitit").glob("*_result.pkl"))  # it came that way


SAYS = "import os; print(*(os.environ.get(n) for n in ('OMP_NUM_THREADS', 'CUDA_VISIBLE_DEVICES')))"


def test_each_job_has_its_share_of_the_cores_and_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    until = f"until = lambda: len(os.listdir({str(tmp_path / 'runs/baseline')!r})) == 5"  # all others were begun

    def command(run: Run, resume: bool) -> list[str]:
        wait = f"import time; {until}\nwhile not until(): time.sleep(0.01)" if run.seed == 0 else ""
        return [sys.executable, "-c", f"{SAYS}\n{wait}\nexit(3)"]

    monkeypatch.setattr(local, "command", command)
    monkeypatch.setattr(local, "cores", lambda: 5)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    sweep = read_sweep(write_sweep(tmp_path, baseline={}, seeds=5))
    said: list[str] = []
    result = run_sweep(sweep, say=said.append, machines=LocalRuns(2, ("3", "5")))
    found = [ended.run.log.read_text().strip() for ended in result.runs]
    assert found == ["2 3", *["2 5"] * 4]  # while the first runs, the others take turns on the other GPU
    assert [ended.why for ended in result.runs] == [f"exit code 3: {line}" for line in found]
    assert len(said) == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    run_sweep(sweep, jobs=3, say=said.append)
    assert {ended.run.log.read_text().strip() for ended in result.runs} == {"7 None"}


@pytest.fixture
def sleepers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a sweep of two runs that say when they are ready, and wait a minute to be told to stop."""
    told = "signal.signal(signal.SIGTERM, lambda *_: exit(print('told')))"
    words = [sys.executable, "-uc", f"import signal, time; {told}; print('ready'); time.sleep(60)  # {tmp_path}"]
    monkeypatch.setattr(local, "command", lambda run, resume: words)
    return write_sweep(tmp_path, baseline={}, seeds=2)


def test_the_first_signal_counts_and_handlers_are_given_back(sleepers: Path, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    said: list[str] = []

    class Interrupting(LocalRuns):
        def start(self, runs):  # type: ignore[no-untyped-def]
            begun = super().start(runs)
            wait_for(runs[0][0].log, 0)
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            return begun

    with pytest.raises(Stopped) as stopped:
        run_sweep(read_sweep(sleepers), say=said.append, machines=Interrupting(1))
    assert stopped.value.signal is signal.SIGINT
    assert said == [
        "stopped by SIGINT: 0 of 2 runs are done, the others go on from their checkpoints with the same command"
    ]
    assert not living(tmp_path)
    assert (tmp_path / "runs/baseline/seed0.log").read_text() == "ready\ntold\n"
    assert signal.getsignal(signal.SIGINT) is before
    assert not (tmp_path / "runs/baseline/seed1.log").exists()  # nothing more was started


def test_an_error_of_our_own_leaves_no_run_behind(sleepers: Path, tmp_path: Path) -> None:
    class Broken(LocalRuns):
        def start(self, runs):  # type: ignore[no-untyped-def]
            self.at_a_time += 1  # so that the second one is asked for at once
            if runs[0][0].seed == 1:
                wait_for(log, 0)
                raise OSError("no more processes")
            return super().start(runs)

    log = tmp_path / "runs/baseline/seed0.log"
    machines = Broken(2)
    machines.at_a_time = 1
    with pytest.raises(OSError, match="no more processes"):
        run_sweep(read_sweep(sleepers), machines=machines)
    assert not living(tmp_path)
    assert log.read_text() == "ready\ntold\n"
