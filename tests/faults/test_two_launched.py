"""Two processes under a real launcher, and what may happen to one of them: all end within the documented time with one
line that says why, and the resumed run is bitwise the undisturbed one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from mmgan.process import peers
from tests.support.compare import assert_same_run
from tests.support.launches import ROOT, TORCHRUN, TWO, Launch, launch
from tests.support.small_runs import UNSCORED

pytestmark = pytest.mark.soak

FLAGS = [*UNSCORED, "--steps", "300", "--checkpoint-every", "20", "--log-every", "1", "--sample-every", "0"]
LAUNCHER = 30.0
"""Seconds after which a launcher kills processes that do not end when it asks them to."""

HIDE = """
if [ $RANK = 1 ]; then exec unshare -m sh -c 'mount -t tmpfs none "$HIDDEN" && exec "$@"' hide "$@"; fi
exec "$@"
"""
"""Runs a program; process 1 sees an empty folder in place of $HIDDEN."""


def errors(job: Launch) -> list[str]:
    said = job.said().replace("\r", "\n")
    assert "in main\n    train_gan" not in said
    return [line for line in said.splitlines() if line.startswith("error: ")]


def end_within(job: Launch, seconds: float) -> int:
    began = time.monotonic()
    code = job.end()
    assert time.monotonic() - began < seconds
    return code


def finish(out: Path, log: Path, whole: Path) -> None:
    with launch(TWO, "mmgan/train_gan.py", *FLAGS, "--out", str(out), "--resume", log=log) as job:
        assert job.end() == 0, job.said()
    assert_same_run(whole, out, scored=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("whole")
    with launch(TWO, "mmgan/train_gan.py", *FLAGS, "--out", str(place / "run"), log=place / "log") as job:
        assert job.end() == 0, job.said()
    return place / "run"


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_is_killed_or_stopped(number: signal.Signals, rank: int, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with launch(TWO, "mmgan/train_gan.py", *FLAGS, "--out", str(out), log=tmp_path / "log") as job:
        job.wait_for(out / "metrics.jsonl", 45)
        struck = job.rank(rank)
        os.kill(struck, number)
        silence = peers.SILENCE if number is signal.SIGSTOP else 0
        assert end_within(job, silence + LAUNCHER + 20) == 1
        (line,) = errors(job)
        assert line.startswith(f"error: process {rank} (")
        assert f", pid {struck}) " in line
        assert ("ended without a word" if number is signal.SIGKILL else "no sign of life for 120 s") in line
    finish(out, tmp_path / "log", whole)


def test_a_launcher_that_is_killed(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with launch(TWO, "mmgan/train_gan.py", *FLAGS, "--out", str(out), log=tmp_path / "log") as job:
        job.wait_for(out / "metrics.jsonl", 45)
        job.process.kill()
        assert end_within(job, 40) == -signal.SIGKILL
        assert "stopped by SIGTERM after step " in job.said()
        assert errors(job) == []
    finish(out, tmp_path / "log", whole)


def test_two_jobs_on_one_port(whole: Path, tmp_path: Path) -> None:
    """The second is refused by its launcher, and the first goes on."""
    port = [*TWO[:-1], "29713"]
    one, other = tmp_path / "one", tmp_path / "other"
    with launch(port, "mmgan/train_gan.py", *FLAGS, "--out", str(one), log=tmp_path / "log") as job:
        job.wait_for(one / "metrics.jsonl", 5)
        with launch(port, "mmgan/train_gan.py", *FLAGS, "--out", str(other), log=tmp_path / "log2") as second:
            assert end_within(second, 60) == 1
            assert "port `29713`, but another process is utilizing it" in second.said()
        assert not other.exists()
        assert job.end() == 0
    assert_same_run(whole, one, scored=False)


def hidden(folder: Path, out: Path, *flags: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of a launch whose process 1 does not see a folder."""
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode:
        pytest.skip("no mount namespace of one's own here")
    monkeypatch.setenv("HIDDEN", str(folder))
    program = ["sh", "-c", HIDE, "hide", sys.executable, str(ROOT / "mmgan/train_gan.py")]
    return [*program, *FLAGS, "--out", str(out), *flags]


def test_a_process_that_does_not_see_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, out = tmp_path / "images", tmp_path / "run"
    images.mkdir()
    for i in range(16):
        Image.new("L", (16, 16), i).save(images / f"{i}.png")
    flags = ["--data", f"folder:{images}", "--image-size", "16"]
    with launch(TORCHRUN, *hidden(images, out, *flags, monkeypatch=monkeypatch), log=tmp_path / "log") as job:
        assert end_within(job, 100) == 1
        (line,) = errors(job)
        assert line.startswith(f"error: process 1: {images}")
    assert not out.exists()


def test_a_process_that_does_not_see_the_run_folder(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main process alone writes there. To resume, every process must see it."""
    place, out = tmp_path / "place", tmp_path / "place" / "run"
    place.mkdir()
    with launch(TORCHRUN, *hidden(place, out, monkeypatch=monkeypatch), log=tmp_path / "log") as job:
        assert job.end() == 0, job.said()
    assert_same_run(whole, out, scored=False)
    resumed = hidden(place, out, "--resume", "--steps", "310", monkeypatch=monkeypatch)
    with launch(TORCHRUN, *resumed, log=tmp_path / "log") as job:
        assert end_within(job, 100) == 1
        (line,) = errors(job)
        assert line.startswith(f"error: process 1: {out}/checkpoints/step-00000300")
    assert_same_run(whole, out, scored=False)
