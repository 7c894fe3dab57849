"""kill -9 at every write point of a run: nothing that was good is lost, and the resumed run is the undisturbed one."""

import shutil
from pathlib import Path

import pytest

from mmgan.errors import UserError
from mmgan.runs.checkpoints import find_checkpoint, newest_checkpoint
from mmgan.runs.folder import RunFolder
from tests.support.compare import assert_same_run
from tests.support.forks import Done, Job, run_all
from tests.support.small_runs import CLASSIFIER

pytestmark = pytest.mark.slow(9)


def job(out: Path, *flags: str, kill_at: int | None = None, tear: int | None = None) -> Job:
    return Job("classifier", [*CLASSIFIER, "--out", str(out), *flags], kill_at=kill_at, tear=tear)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    out = tmp_path_factory.mktemp("whole") / "run"
    done = run_all([job(out)])[0]
    assert done.code == 0, done.err
    return out, done


def test_the_write_points_are_those_of_whole_checkpoints(whole: tuple[Path, Done]) -> None:
    writes = whole[1].writes
    first = writes.index("os.mkdir .step-00000006.part")
    assert writes[first:][:7] == [
        "os.mkdir .step-00000006.part",
        "open classifier.safetensors",
        "open classifier-average.safetensors",
        "open optimizer.pt",
        "open state.json",
        "open manifest.json",
        "os.rename .step-00000006.part",
    ]
    assert writes.index("os.rmdir .step-00000006.part") > writes.index("os.rename .step-00000012.part")
    assert writes.index("os.rename best") > writes.index("os.rename .best.part")
    assert len(writes) > 35


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.soak)])
def test_killed_at_write_points(every: int, whole: tuple[Path, Done], tmp_path: Path) -> None:
    """At all of them, or at each fourth."""
    out, done = whole
    started = done.writes.index("os.rename .step-00000006.part")
    early = [0, 1, 2, 4, started - 2][::every]  # config.yaml, the folders, in the first checkpoint
    points = [*early, *range(started, len(done.writes), every)]
    written = [write.split()[1] for write in done.writes if write.startswith("open") and not write.endswith(".jsonl")]
    torn = [i for i, name in enumerate(written) if i > 7 and name.startswith(("optimizer", "manifest", "scores"))]
    assert len(torn) == 5
    torn = torn[::every]
    places = [tmp_path / f"{i}" / "run" for i in range(len(points) + len(torn))]
    for place in places:
        place.parent.mkdir()  # as for the whole run, so that the points have the same numbers
    kills = [job(place, kill_at=i) for place, i in zip(places, points, strict=False)]
    tears = [job(place, tear=i) for place, i in zip(places[len(points) :], torn, strict=True)]
    for killed in run_all([*kills, *tears]):
        assert killed.code == -9, killed.err

    again, flags = [], []
    for place in places:
        folder = RunFolder(place)
        goes_on = False
        if folder.config_file.is_file():
            goes_on = any(folder.checkpoints.glob("step-*"))
            if goes_on:
                _, faults = newest_checkpoint(folder.checkpoints)
                assert faults == []  # what bears a checkpoint's name is whole
                assert find_checkpoint(folder.checkpoints, "best").is_dir()
        flags.append("--resume" if goes_on else "--overwrite")
        again.append(job(place, flags[-1]))
    assert flags.count("--overwrite") == len(early) + 2  # and the first checkpoint's rename, and its torn manifest
    for place, resumed in zip(places, run_all(again), strict=True):
        assert resumed.code == 0, resumed.err
        assert_same_run(out, place)
        shutil.rmtree(place)


def test_a_run_without_a_checkpoint_is_not_started_over_silently(tmp_path: Path) -> None:
    out = tmp_path / "run"
    killed, resumed = run_all([job(out, kill_at=6), job(out, "--resume")])
    assert killed.code == -9
    assert resumed.code == 2
    assert f"there is no checkpoint in {out}/checkpoints" in resumed.error
    assert "--overwrite" in resumed.error
    with pytest.raises(UserError):
        newest_checkpoint(out / "checkpoints")
