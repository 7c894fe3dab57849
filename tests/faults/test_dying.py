"""A process that dies, fails alone, falls silent or does not come: all end soon, with codes that are not 0 and one line
that names it."""

import os
import socket
from pathlib import Path

import pytest
from PIL import Image

from tests.support.compare import assert_same_run
from tests.support.forks import Done, Job, run_one
from tests.support.small_runs import UNSCORED

pytestmark = pytest.mark.slow(12)

FLAGS = [*UNSCORED, "--steps", "1000000", "--log-every", "1", "--sample-every", "0"]


def said(done: Done) -> list[str]:
    """All lines of all processes that are neither a progress bar nor a warning of gloo's, each process's in order."""
    lines = [line for err in done.errs for line in err.replace("\r", "\n").splitlines()]
    assert not [line for line in lines if "Traceback" in line], done.errs
    return [line for line in lines if line.startswith("error: ")]


def from_the_root(path: Path) -> str:
    """A name that means nothing in another folder than the repository, where the programs of these tests run."""
    return os.path.relpath(path, Path(__file__).parents[2])


def run(fault: str, rank: int, out: Path, *flags: str) -> Done:
    return run_one(Job("gan", [*FLAGS, "--out", str(out), *flags], processes=2, fault=fault, fault_rank=rank))


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(("fault", "code"), [("leave", 0), ("die", -9)])
def test_a_process_that_ends_in_the_middle_of_a_step(fault: str, code: int, rank: int, tmp_path: Path) -> None:
    """With code 0 too, which a launcher takes for success: the other process's code must say otherwise."""
    done = run(fault, rank, tmp_path / "run")
    assert done.codes[rank] == code
    assert done.codes[1 - rank] == 1
    (line,) = said(done)
    assert line.startswith(f"error: process {rank} ({socket.gethostname()}, pid ")
    assert line.endswith(" ended without a word: it was killed, or its own messages say why")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_stopped(rank: int, tmp_path: Path) -> None:
    """It does not go on alone when it is continued later."""
    done = run("stop", rank, tmp_path / "run")
    assert done.codes == [1, 1]
    line, *more = said(done)
    assert line.startswith(f"error: process {rank} ({socket.gethostname()}, pid ")
    assert " has given no sign of life for 2 s: it is stopped, or its machine cannot be reached" in line
    assert not more


@pytest.mark.soak
def test_a_job_that_is_suspended_as_a_whole_goes_on(tmp_path: Path) -> None:
    runs = [tmp_path / "paused" / "run", tmp_path / "whole" / "run"]
    for out, fault in zip(runs, ("pause all", None), strict=True):
        done = run_one(Job("gan", [*UNSCORED, "--out", str(out)], processes=2, fault=fault))
        assert done.codes == [0, 0], done.errs
    assert_same_run(*runs, scored=False)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_does_not_see_the_data(rank: int, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for i in range(16):
        Image.new("L", (16, 16), i).save(images / f"{i}.png")
    relative = from_the_root(images)
    done = run("elsewhere", rank, tmp_path / "run", "--data", f"folder:{relative}", "--image-size", "16")
    assert done.codes == [2, 2]
    (line,) = said(done)
    assert line.startswith("error: process 1: " if rank == 1 else "error: ")
    assert str(relative) in line


def test_a_process_that_does_not_see_the_settings(tmp_path: Path) -> None:
    """It ends before they meet; the other one waits for it in bounded time, where no launcher ends it."""
    settings = tmp_path / "settings.yaml"
    settings.write_text("seed: 1\n")
    done = run("elsewhere", 1, tmp_path / "run", "--config", from_the_root(settings))
    assert done.codes == [1, 2]
    first, second = said(done)
    assert first.startswith("error: process 0 has waited 5 s for the others at 127.0.0.1:")
    assert second.startswith("error: process 1: ")
    assert from_the_root(settings) in second


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    done = run("port taken", 0, tmp_path / "run")
    assert done.codes == [2, 1]
    first, second = said(done)
    assert first.startswith("error: the processes cannot meet at 127.0.0.1:")
    assert "because another job or program uses this port: choose another with --main_process_port" in first
    assert second.startswith("error: process 1 has waited 3 s for the others at 127.0.0.1:")
    assert not (tmp_path / "run").exists()
