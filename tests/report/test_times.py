"""times.jsonl: a line a flush, whatever was torn; metrics.jsonl is the same in every repetition."""

from pathlib import Path

import pytest

from mmgan.runs.folder import RunFolder
from mmgan.runs.times import Clock, Time, read_times
from tests.support.forks import Job, run_one
from tests.support.small_runs import UNSCORED


def test_times_are_noted_from_each_start_on(tmp_path: Path) -> None:
    path = tmp_path / "times.jsonl"
    assert read_times(path) == []
    first = Clock(path)
    first.start(0)
    first.note(10)
    with path.open("a") as file:
        file.write('{"step": 20, "sec')  # killed here
    second = Clock(path)
    second.start(10)
    second.note(20)
    times = read_times(path)
    assert [time.step for time in times] in ([0, 10, 20], [0, 10, 10, 20])
    assert times[0] == Time(0, 0.0)
    assert all(0 <= time.seconds < 60 for time in times)


LINES = ["", "{", "null", '{"step": -1, "seconds": 0}', '{"step": 1}', '{"step": 1, "seconds": NaN}']


@pytest.mark.parametrize("line", LINES)
def test_lines_that_are_no_times_are_left_out(tmp_path: Path, line: str) -> None:
    path = tmp_path / "times.jsonl"
    path.write_text(f'{{"step": 1, "seconds": 2}}\n{line}\n{{"step": 3, "seconds": 4}}\n')
    assert read_times(path) == [Time(1, 2.0), Time(3, 4.0)]


@pytest.mark.slow(4)
def test_a_resumed_run_notes_two_starts(tmp_path: Path) -> None:
    flags = [*UNSCORED, "--out", str(tmp_path / "run")]
    assert run_one(Job("gan", flags, stop_at=4)).code == -9
    assert run_one(Job("gan", [*flags, "--resume"])).code == 0
    times = read_times(RunFolder(tmp_path / "run").times_file)
    assert [time.step for time in times if time.seconds == 0] == [0, 4]
    assert times[-1].step == 6
