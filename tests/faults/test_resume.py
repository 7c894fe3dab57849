"""A run that was killed and resumed ends bitwise as one that was not: inside and at the end of an epoch, with one
process and with two, both trainers, with and without scores."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmgan.runs.folder import RunFolder
from tests.support.compare import assert_same_run
from tests.support.forks import Job, run_all, run_one
from tests.support.small_runs import CLASSIFIER, GAN, UNSCORED

pytestmark = pytest.mark.slow(20)


@pytest.fixture(scope="module")
def few_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 images: at 8 a discriminator's step, an epoch is two generator steps."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(32):
        Image.fromarray(rng.integers(0, 255, (16, 16), np.uint8)).save(folder / f"{i:02d}.png")
    return folder


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(("program", "stops"), [("classifier", [6, 8]), ("gan", [2, 3])])
def test_at_the_end_of_an_epoch_and_inside_one(
    tmp_path: Path, few_images: Path, program: str, stops: list[int], processes: int
) -> None:
    """Stopped by kill -9 right after a checkpoint, and some steps after one."""
    flags = CLASSIFIER if program == "classifier" else [*UNSCORED, "--data", f"folder:{few_images}"]
    flags = [*flags, "--log-every", "1"]

    def job(out: Path, *more: str, stop_at: int | None = None) -> Job:
        return Job(program, [*flags, "--out", str(out), *more], stop_at=stop_at, processes=processes)

    whole = tmp_path / "whole/run"
    outs = [tmp_path / f"{step}/run" for step in stops]
    late = tmp_path / "late/run"
    rows = 4 if program == "gan" else 9  # written before the kill: some steps after a checkpoint
    interrupted = Job(program, [*flags, "--out", str(late)], inside="metrics.jsonl", kill_at=rows, processes=processes)
    stopped = [job(out, stop_at=step) for out, step in zip(outs, stops, strict=True)]
    first, *killed = run_all([job(whole), *stopped, interrupted])
    assert first.code == 0, first.err
    for done in killed:
        assert done.code == -9, done.err
    for step, out in zip(stops, outs, strict=True):
        names = {path.name for path in (out / "checkpoints").glob("step-*")}
        assert f"step-{step:08d}" in names
    for step, out, done in zip(
        [*stops, None], [*outs, late], run_all([job(out, "--resume") for out in [*outs, late]]), strict=True
    ):
        assert done.code == 0, done.err
        assert "resumed from" in done.out
        assert step is None or f"at step {step}" in done.out
        assert_same_run(whole, out, scored=program == "classifier")


@pytest.mark.usefixtures("judge_cache")
def test_killed_between_a_checkpoint_and_its_score(tmp_path: Path) -> None:
    """Also where that checkpoint is the last one, and where the better weights were being put in place."""
    flags = [*GAN, "--score-every", "2", "--keep-checkpoints", "9"]
    whole = tmp_path / "whole/run"
    done = run_one(Job("gan", [*flags, "--out", str(whole)]))
    assert done.code == 0, done.err
    scores = [at for at, write in enumerate(done.writes) if write == "open scores.json.part"]
    assert len(scores) == 3
    best = [at for at, write in enumerate(done.writes) if write == "os.mkdir .best.part"]
    points = [scores[1], scores[2], best[-1], done.writes.index("open report.html.part")]
    outs = [tmp_path / f"{point}/run" for point in points]
    killed = run_all(
        [Job("gan", [*flags, "--out", str(out)], kill_at=point) for out, point in zip(outs, points, strict=True)]
    )
    assert [one.code for one in killed] == [-9] * 4
    for out, resumed in zip(
        outs, run_all([Job("gan", [*flags, "--out", str(out), "--resume"]) for out in outs]), strict=True
    ):
        assert resumed.code == 0, resumed.err
        assert_same_run(whole, out)
    assert [entry["step"] for entry in RunFolder(outs[1]).read_scores()["history"]] == [2, 4, 6]


def test_a_best_epoch_that_is_damaged_is_chosen_anew(tmp_path: Path) -> None:
    out = tmp_path / "run"
    flags = [*CLASSIFIER, "--out", str(out)]
    assert run_one(Job("classifier", flags, stop_at=8)).code == -9
    (out / "checkpoints/best/manifest.json").write_text("torn")
    resumed = run_one(Job("classifier", [*flags, "--resume"]))
    assert resumed.code == 0, resumed.err
    assert f"the best epoch is chosen again from here: {out}/checkpoints/best: its manifest.json" in resumed.out
    assert RunFolder(out).read_scores()["best"]["epoch"] == 2
