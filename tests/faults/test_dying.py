"""A process that dies takes the job down with a code that is not 0, soon, and leaves nothing behind."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.forks import Job, run_one
from tests.support.launches import TWO, launch
from tests.support.small_runs import UNSCORED

FLAGS = [*UNSCORED, "--steps", "1000000", "--log-every", "1", "--sample-every", "0"]


@pytest.mark.soak
def test_kill_9(tmp_path: Path) -> None:
    with launch(TWO, "mmgan/train_gan.py", *FLAGS, "--out", str(tmp_path / "run"), log=tmp_path / "log") as job:
        job.wait_for(tmp_path / "run/metrics.jsonl", 3)
        killed = time.monotonic()
        os.kill(job.rank(0), signal.SIGKILL)
        assert job.end() != 0
        assert time.monotonic() - killed < 60


@pytest.mark.slow(1)
def test_a_rank_that_ends_in_the_middle_of_a_step(tmp_path: Path) -> None:
    """With code 0, which a launcher takes for success: the other rank's code must say otherwise."""
    done = run_one(Job("gan", [*FLAGS, "--out", str(tmp_path / "run")], processes=2, fault="leave", fault_rank=1))
    assert done.codes[1] == 0
    assert done.codes[0] > 0
