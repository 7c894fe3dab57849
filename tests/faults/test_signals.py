"""SIGTERM, SIGINT, SIGHUP and SIGUSR1: all processes stop after one step, save, and end with the documented code."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accelerate.state import AcceleratorState, GradientState

import mmgan.gan.scores
import mmgan.runs.checkpoints
import mmgan.runs.session
import mmgan.scoring.sharding
import mmgan.train_classifier
import mmgan.train_gan
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import find_fault
from tests.support.compare import assert_same_run
from tests.support.forks import Job, run_one
from tests.support.launches import ALONE, TWO, launch
from tests.support.small_runs import CLASSIFIER, GAN, UNSCORED
from tests.support.two_ranks import untrained_judge

pytestmark = pytest.mark.slow(30)

CODES = [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129), (signal.SIGUSR1, 0)]
ENDLESS = [*UNSCORED, "--steps", "1000000", "--checkpoint-every", "0", "--log-every", "1", "--sample-every", "0"]
Main = Callable[[list[str]], int]


@pytest.fixture(scope="module", autouse=True)
def _judge(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One that needs no training."""
    judge = untrained_judge()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(mmgan.gan.scores, "make_extractor", lambda *_: judge)
        yield


def run(main: Main, *flags: str) -> int:
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    return main([*flags])


def call_before(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, action: Callable[..., None]) -> None:
    """Do something in this process just before a function of the program."""
    original = getattr(where, name)

    def both(*args: Any, **kwargs: Any) -> Any:
        action(*args)
        return original(*args, **kwargs)

    monkeypatch.setattr(where, name, both)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.1)  # so that it is heard before the step ends


def saved_step(out: Path) -> int:
    """The newest checkpoint is whole, and all metrics up to its step are there."""
    *_, checkpoint = sorted(RunFolder(out).checkpoints.glob("step-*"))
    assert find_fault(checkpoint) is None
    step = int(json.loads((checkpoint / "state.json").read_text())["step"])
    assert [row["step"] for row in RunFolder(out).read_metrics()] == list(range(1, step + 1))
    assert not list(RunFolder(out).checkpoints.glob(".*"))
    return step


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, _judge: None) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert run(mmgan.train_gan.main, *GAN, "--score-every", "3", "--score-samples", "300", "--out", str(out)) == 0
    return out


@pytest.fixture(scope="module")
def whole_classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert run(mmgan.train_classifier.main, *CLASSIFIER, "--out", str(out)) == 0
    return out


@pytest.mark.parametrize(("number", "code"), CODES)
def test_a_signal_inside_an_epoch(
    number: signal.Signals,
    code: int,
    whole_classifier: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = [*CLASSIFIER, "--out", str(tmp_path / "run")]
    before = {n: signal.getsignal(n) for n, _ in CODES}
    with monkeypatch.context() as patch:
        # Further signals, of other kinds too, change nothing.
        numbers = {3: [number, *(n for n, _ in CODES)]}
        call_before(
            patch,
            mmgan.runs.session.Session,
            "note_metrics",
            lambda _, rows: [send(n) for n in numbers.get(rows[-1]["step"] if rows else 0, [])],
        )
        assert run(mmgan.train_classifier.main, *flags) == code
    assert saved_step(tmp_path / "run") == 3
    assert f"stopped by {number.name} after step 3, exit code {code}: " in capsys.readouterr().out
    assert {n: signal.getsignal(n) for n, _ in CODES} == before
    assert run(mmgan.train_classifier.main, *flags, "--resume") == 0
    assert_same_run(whole_classifier, tmp_path / "run")


def test_a_signal_during_scoring(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = [*GAN, "--score-every", "3", "--score-samples", "300", "--out", str(tmp_path / "run")]
    chunks: list[int] = []

    def second_chunk(generate: Any, c: int, count: int, extractor: Any) -> None:
        if count == 300:
            chunks.append(c)
            if c == 1:
                send(signal.SIGTERM)

    with monkeypatch.context() as patch:
        call_before(patch, mmgan.scoring.sharding, "_chunk", second_chunk)
        assert run(mmgan.train_gan.main, *flags) == 143
    assert chunks == [0, 1]  # of five
    assert saved_step(tmp_path / "run") == 3
    assert not RunFolder(tmp_path / "run").scores_file.exists()
    assert run(mmgan.train_gan.main, *flags, "--resume") == 0
    assert_same_run(whole, tmp_path / "run", scored=False)
    one, other = (RunFolder(path).read_scores() for path in (whole, tmp_path / "run"))
    assert [entry["step"] for entry in other["history"]] == [3, 6]
    assert one["last"]["scores"] == other["last"]["scores"]


def test_a_signal_during_saving(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = [*GAN, "--score-every", "3", "--score-samples", "300", "--out", str(tmp_path / "run")]
    with monkeypatch.context() as patch:
        call_before(patch, mmgan.runs.checkpoints, "write_flushed", lambda *_: send(signal.SIGTERM))
        assert run(mmgan.train_gan.main, *flags) == 143
    assert saved_step(tmp_path / "run") == 2
    assert run(mmgan.train_gan.main, *flags, "--resume") == 0
    assert_same_run(whole, tmp_path / "run", scored=False)


@pytest.mark.parametrize(("number", "rank"), [(signal.SIGUSR1, 0), (signal.SIGINT, 1)])
def test_two_processes_stop_together(number: signal.Signals, rank: int, tmp_path: Path) -> None:
    out = tmp_path / "run"
    job = Job("gan", [*ENDLESS, "--out", str(out)], processes=2, fault=number.name, fault_rank=rank)
    done = run_one(job)
    assert done.codes == [dict(CODES)[number]] * 2, done.err
    assert_both_stopped(out, number, done.out)


def test_two_processes_stop_when_their_launcher_is_asked(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with launch(TWO, "mmgan/train_gan.py", *ENDLESS, "--out", str(out), log=tmp_path / "log") as job:
        job.wait_for(out / "metrics.jsonl", 3)
        os.kill(job.process.pid, signal.SIGTERM)
        assert job.end() == 1  # a launcher's own code for ranks that ended with another than 0
        assert_both_stopped(out, signal.SIGTERM, job.said())


def assert_both_stopped(out: Path, number: signal.Signals, said: str) -> None:
    step = saved_step(out)
    assert f"stopped by {number.name} after step {step}, exit code {dict(CODES)[number]}: " in said
    assert json.loads((out / f"checkpoints/step-{step:08d}/state.json").read_text())["processes"] == 2


def test_a_launcher_of_one_process_leaves_nothing_behind(tmp_path: Path) -> None:
    """It dies of the signal and does not pass it on; its child notices."""
    out = tmp_path / "run"
    with launch(ALONE, "mmgan/train_gan.py", *ENDLESS, "--out", str(out), log=tmp_path / "log") as job:
        job.wait_for(out / "metrics.jsonl")
        os.kill(job.process.pid, signal.SIGTERM)
        assert job.end() == -signal.SIGTERM
        assert f"stopped by SIGTERM after step {saved_step(out)}, exit code 143: " in job.said()


def test_the_deadline_ends_a_step_that_never_does(tmp_path: Path) -> None:
    """Rank 1 sits in its step, rank 0 in a collective that waits for it; both were asked to stop."""
    out = tmp_path / "run"
    flags = [*UNSCORED, "--log-every", "1", "--checkpoint-every", "1", "--stop-deadline", "2", "--out", str(out)]
    done = run_one(Job("gan", flags, processes=2, fault="hang in step", fault_rank=1))
    assert done.codes == [143, 143]
    assert "--stop-deadline 2 s have passed; the last checkpoint is intact" in done.err
    assert saved_step(out) == 1


def test_before_the_first_step_there_is_nothing_to_save(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run_one(Job("gan", [*UNSCORED, "--out", str(out)], fault="hang in loading"))
    assert done.code == 130
    assert "stopped by SIGINT before the first step: there is nothing to save" in done.err
    assert not out.exists()
