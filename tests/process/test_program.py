"""What a program leaves behind in its process."""

from pathlib import Path

import pytest

from tests.support.forks import Job, run_one
from tests.support.small_runs import CLASSIFIER, UNSCORED

pytestmark = pytest.mark.slow(2)


@pytest.mark.parametrize("argv", [["gan", *UNSCORED], ["classifier", *CLASSIFIER]], ids=lambda argv: argv[0])
def test_no_thread_of_the_process_group_outlives_the_program(argv: list[str], tmp_path: Path) -> None:
    """One that does may meet the interpreter's end, and that is a SIGABRT."""
    done = run_one(Job("tests.support.threads_left", [*argv, "--out", str(tmp_path / "run")], processes=2))
    assert done.codes == [0, 0], done.err
    (line,) = [line for line in done.out.splitlines() if line.startswith("threads left: ")]
    assert "gloo" not in line
