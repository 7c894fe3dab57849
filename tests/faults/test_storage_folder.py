"""What a run needs of its folder and its data: gone, torn, flipped or in the way, each is told in one line."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmgan.errors import StorageFailed, UserError
from mmgan.runs.checkpoints import newest_checkpoint, save_checkpoint
from mmgan.runs.folder import RunFolder
from mmgan.storage import write_atomically
from tests.support.compare import assert_same_run, contents, flip_bit, truncate
from tests.support.forks import Job, run_all, run_one
from tests.support.report_runs import gan_run
from tests.support.small_runs import UNSCORED

pytestmark = pytest.mark.slow(4)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert run_one(Job("gan", [*UNSCORED, "--out", str(out)])).code == 0
    return out


def resume(out: Path, *flags: str) -> Job:
    return Job("gan", [*UNSCORED, "--out", str(out), "--resume", *flags])


def test_damaged_files_of_a_run_folder(whole: Path, tmp_path: Path) -> None:
    def flip_metrics(out: Path) -> None:
        flip_bit(out / "metrics.jsonl", 40)

    def lose_metrics(out: Path) -> None:
        (out / "metrics.jsonl").unlink()

    def truncate_metrics(out: Path) -> None:
        truncate(out / "metrics.jsonl")

    def flip_config(out: Path) -> None:
        file = out / "config.yaml"
        flip_bit(file, file.read_bytes().index(b"data:") + 1)

    def flip_value(out: Path) -> None:
        file = out / "config.yaml"
        file.write_text(file.read_text().replace("lr: 0.0004", "lr: 0.0005"))

    def tear_scores(out: Path) -> None:
        (out / "scores.json").write_text('{"last": {')

    def replace_checkpoints(out: Path) -> None:
        shutil.rmtree(out / "checkpoints")
        (out / "checkpoints").write_text("a file")

    cases = {
        flip_metrics: "metrics.jsonl does not have the lines that it had at step 6",
        lose_metrics: "metrics.jsonl does not have the lines that it had at step 6",
        truncate_metrics: "metrics.jsonl does not have the lines that it had at step 6",
        flip_config: "config.yaml",
        flip_value: "lr was 0.0004, is 0.0005",
        tear_scores: "scores.json is damaged",
        replace_checkpoints: "there is no checkpoint in",
    }
    outs = [tmp_path / case.__name__ / "run" for case in cases]
    before = []
    for out, damage in zip(outs, cases, strict=True):
        shutil.copytree(whole, out)
        damage(out)
        before.append(contents(out))
    done = run_all([Job("gan", ["--out", str(out), "--resume"]) for out in outs])
    for out, expected, refused, content in zip(outs, cases.values(), done, before, strict=True):
        assert refused.code == 2, refused.err
        assert expected in refused.error
        assert str(out) in refused.error or "lr was" in expected
        assert contents(out) == content


def test_lines_after_the_checkpoint_may_be_torn(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    shutil.rmtree(out / "checkpoints/step-00000006")
    lines = (out / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (out / "metrics.jsonl").write_bytes(b"".join(lines[:4]) + b"\x00\x01\n" + lines[4] + lines[5][:9])
    assert run_one(resume(out)).code == 0
    assert_same_run(whole, out, scored=False)


def test_a_run_folder_that_vanishes(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start({"data": "digits"}, overwrite=False)
    folder.append_metrics([{"step": 1}])
    shutil.rmtree(folder.path)
    for write in (
        lambda: folder.append_metrics([{"step": 2}]),
        folder.seal_metrics,
        lambda: folder.write_scores({}),
        lambda: save_checkpoint(folder.checkpoints, "best", {}, {}, {"step": 1}),
        lambda: write_atomically(folder.samples / "grid.png", b"..."),
    ):
        with pytest.raises(StorageFailed, match=rf"{tmp_path}/run.* cannot be written \(No such file or directory\)"):
            write()
    assert not folder.path.exists()


def test_a_run_folder_that_vanishes_under_the_program(tmp_path: Path) -> None:
    """A folder in the place of the next sample grid: the program stops in one line, and what was good is good."""
    out = tmp_path / "run"
    assert run_one(Job("gan", [*UNSCORED, "--out", str(out), "--overwrite"])).code == 0
    shutil.rmtree(out / "checkpoints/step-00000006")
    (out / "samples/step-00000006.png").unlink()
    (out / "samples/step-00000006.png.part").mkdir()
    failed = run_one(resume(out))
    assert failed.code == 1
    assert "samples/step-00000006.png.part cannot be written (Is a directory)" in failed.error
    assert newest_checkpoint(out / "checkpoints")[0].name == "step-00000004"


def test_overwriting_never_leaves_a_folder_without_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = gan_run(tmp_path / "run", resume=False, overwrite=False, done=0)
    (folder.checkpoints / "step-00000001").mkdir()
    unlink = Path.unlink

    def interrupted(path: Path, missing_ok: bool = False) -> None:
        if path.parent == folder.path:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    folder.append_metrics([{"step": 1}])
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", interrupted)
        with pytest.raises(KeyboardInterrupt):
            folder.start({"data": "mnist"}, overwrite=True)
    folder.check(resume=False, overwrite=True)
    folder.start({"data": "mnist"}, overwrite=True)
    assert folder.read_config() == {"data": "mnist"}
    assert not folder.metrics_file.exists()
    assert list(folder.checkpoints.iterdir()) == []


def test_data_that_changes_under_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images = tmp_path / "images"
    images.mkdir()
    for i in range(12):
        Image.fromarray(rng.integers(0, 255, (16, 16), np.uint8)).save(images / f"{i:02d}.png")
    out = tmp_path / "run"
    flags = [*UNSCORED, "--data", f"folder:{images}", "--out", str(out)]
    assert run_one(Job("gan", flags)).code == 0
    before = contents(out)

    Image.fromarray(rng.integers(0, 255, (16, 16), np.uint8)).save(images / "07.png")
    changed = run_one(Job("gan", [*flags, "--resume"]))
    assert changed.code == 2
    assert "the data's digest was" in changed.error

    truncate(images / "07.png")
    torn = run_one(Job("gan", [*flags, "--resume"]))
    assert torn.code == 2
    assert f"{images}/07.png is not a readable image" in torn.error

    (images / "07.png").unlink()
    assert "the data's digest was" in run_one(Job("gan", [*flags, "--resume"])).error
    assert contents(out) == before


def test_metrics_that_are_damaged_are_named(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.metrics_file.write_text('{"step": 1}\n{"step": "two"}\n{"ste')
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged at line 2"):
        folder.read_metrics()
