"""What a run folder holds besides a run is never lost, and two runs in one folder are kept apart."""

import json
import os
import shutil
import socket
import time
from pathlib import Path

import pytest

from mmgan.errors import UserError
from mmgan.runs.belongings import LOCK, remove_run
from mmgan.runs.checkpoints import (
    find_checkpoint,
    newest_checkpoint,
    prune_checkpoints,
    recover_checkpoints,
    save_checkpoint,
)
from mmgan.runs.folder import RunFolder
from mmgan.runs.lock import RunLock
from tests.support.compare import contents
from tests.support.forks import Job, run_all
from tests.support.report_runs import gan_run
from tests.support.small_runs import CLASSIFIER, UNSCORED

pytestmark = pytest.mark.slow(9)

MINE = [
    *("notes.txt", "samples/mine.png", "samples/step-1.png", "checkpoints/mine/step-00000001", "mmgan/notes"),
    *("checkpoints/step-00000002/notes.txt", "checkpoints/best/notes.txt", "checkpoints/.mine.part", "data/a.png"),
    *("scores.json.bak", "checkpoints/.mine.old/manifest.json"),
]
MADE = [
    *("metrics.jsonl", "metrics.jsonl.part", "scores.json", "report.html", "evaluation.json", "evaluation-knn.json"),
    *("times.jsonl", "samples/step-00000002-real.png", "samples/step-00000002-interpolation.png.part"),
    *(
        "diagnosis.json",
        "diagnoses/step-00000002.png",
        "reliability.png",
        "samples/step-00000002.png",
        "samples/best-seed0-64.png",
        "samples/best-seed0-9-truncation0.5-interpolation.gif",
        "samples/step-00000002.png.part",
    ),
    *("mmgan/events.out.tfevents.1.host", "mmgan/1.5/hparams.yml", "checkpoints/.best.part/generator.safetensors"),
]


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def a_run(path: Path) -> RunFolder:
    """A run with files of its own and of others."""
    folder = gan_run(path, resume=False, overwrite=False, done=4)
    for name in ("step-00000002", "step-00000004", "best"):
        save_checkpoint(folder.checkpoints, name, {}, {}, {"step": 2})
    write(path, *MINE, *MADE)
    return folder


def test_overwriting_removes_what_mmgan_made_and_nothing_else(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere, "kept.png")
    (folder.samples / "step-00000008.png").symlink_to(elsewhere / "kept.png")
    (folder.checkpoints / "step-00000008").symlink_to(elsewhere)
    folder.check(resume=False, overwrite=True)
    folder.start({"data": "mnist"}, overwrite=True)
    assert set(contents(folder.path)) == {"config.yaml", *MINE}
    assert folder.read_config() == {"data": "mnist"}
    assert contents(elsewhere) == {"kept.png": b"kept.png"}


def test_folders_that_are_links_stay_links(tmp_path: Path) -> None:
    """Checkpoints on another disk, as users arrange it."""
    folder = a_run(tmp_path / "run")
    (tmp_path / "disk").mkdir()
    folder.checkpoints.rename(tmp_path / "disk/checkpoints")
    folder.checkpoints.symlink_to(tmp_path / "disk/checkpoints")
    folder.start({"data": "mnist"}, overwrite=True)
    assert folder.checkpoints.is_symlink()
    assert set(contents(tmp_path / "disk")) == {name for name in MINE if name.startswith("checkpoints")}


@pytest.mark.parametrize("text", ["a: 1\n", "n_dis: 5\ndata: digits\nseed: 0\nsteps: 10\n", "- a\n", "{", ""])
@pytest.mark.parametrize("mode", ["overwrite", "resume"])
def test_a_folder_with_another_config_is_refused(tmp_path: Path, text: str, mode: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    write(tmp_path, "metrics.jsonl")
    with pytest.raises(UserError, match=r"config\.yaml|no run"):
        RunFolder(tmp_path).check(resume=mode == "resume", overwrite=mode == "overwrite")


def test_the_list_has_all_that_the_programs_leave(tmp_path: Path) -> None:
    """Also in checkpoints whose manifests, which name their files, are gone."""
    gan, classifier = tmp_path / "gan/run", tmp_path / "classifier/run"
    tracked = ["--tracker", "tensorboard"]
    done = run_all(
        [
            Job("gan", [*UNSCORED, *tracked, "--lecam", "0.3", "--ema", "0.9", "--out", str(gan)]),
            Job("mmgan", ["sample", str(gan), "--count", "4"]),
            Job("classifier", [*CLASSIFIER, *tracked, "--mix", "pixel", "--lam", "adamix", "--out", str(classifier)]),
            Job("mmgan", ["evaluate", str(classifier), "--measures", "knn", "--limit", "40"]),
        ]
    )
    assert [one.code for one in done] == [0] * 4, done
    for out in (gan, classifier):
        assert len(contents(out)) > 10
        for manifest in out.rglob("manifest.json"):
            manifest.unlink()
        remove_run(out)
        assert [path.name for path in out.iterdir()] == ["config.yaml"]


def test_pruning_and_replacing_keep_files_of_others(tmp_path: Path) -> None:
    for step in (2, 4, 6):
        save_checkpoint(tmp_path, f"step-{step:08d}", {}, {}, {"step": step})
        write(tmp_path, f"step-{step:08d}/notes.txt")
    save_checkpoint(tmp_path, "step-00000006", {}, {}, {"step": 6})
    prune_checkpoints(tmp_path, 1, 6)
    assert {name for name in contents(tmp_path) if "notes" in name} == {f"step-0000000{n}/notes.txt" for n in (2, 4, 6)}
    assert newest_checkpoint(tmp_path) == (tmp_path / "step-00000006", [])
    assert sorted(contents(tmp_path / "step-00000006")) == ["manifest.json", "notes.txt", "state.json"]


def test_files_and_links_among_checkpoints(tmp_path: Path) -> None:
    checkpoints, elsewhere = tmp_path / "checkpoints", tmp_path / "elsewhere"
    elsewhere.mkdir()
    save_checkpoint(elsewhere, "step-00000002", {}, {}, {"step": 2})
    checkpoints.mkdir()
    (checkpoints / "step-00000002").symlink_to(elsewhere / "step-00000002")
    (checkpoints / "step-00000003").symlink_to(tmp_path / "nowhere")
    write(checkpoints, ".x.part", ".x.old", "step-00000001")
    (checkpoints / ".best.part").write_text("a file where a folder would be")
    (checkpoints / ".best.old").symlink_to(elsewhere / "step-00000002")
    (checkpoints / "best").symlink_to(elsewhere)
    recover_checkpoints(checkpoints)
    assert newest_checkpoint(checkpoints)[0].name == "step-00000002"
    for name in ("best", "step-00000003", "step-00000004"):
        save_checkpoint(checkpoints, name, {}, {}, {"step": 4})
        assert find_checkpoint(checkpoints, name).is_dir()
    prune_checkpoints(checkpoints, 1, 4)
    assert set(contents(elsewhere)) == {"step-00000002/manifest.json", "step-00000002/state.json"}
    names = {path.name for path in checkpoints.iterdir()}
    assert names == {".x.part", ".x.old", "step-00000001", "step-00000004", "best"}


def written(lock: RunLock) -> bytes:
    """What its file says. To open the file in this process would release the lock when it is closed."""
    assert lock._descriptor is not None
    return os.pread(lock._descriptor, 4096, 0)


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A run that is under way, in this process."""
    out = tmp_path / "run"
    (done,) = run_all([Job("gan", [*UNSCORED, "--steps", "2", "--sample-every", "0", "--out", str(out)])])
    assert done.code == 0, done.err
    assert not (out / LOCK).exists()
    write(out, "checkpoints/.step-00000004.part/generator.safetensors")
    return out


def test_a_second_run_is_refused(live: Path) -> None:
    before = contents(live)
    flags = [*UNSCORED, "--steps", "4", "--sample-every", "0", "--out", str(live)]
    modes = [[], ["--overwrite"], ["--resume"], ["--resume", "--dry-run"], ["--overwrite", "--dry-run"]]
    with RunLock(live) as lock:
        lock.take()
        held = written(lock)
        *refused, read = run_all(
            [*(Job("gan", [*flags, *mode]) for mode in modes), Job("mmgan", ["report", str(live)])]
        )
        for done in refused:
            assert done.code == 2, done.err
            assert f"{live} is in use by process {os.getpid()} on {socket.gethostname()}, last heartbeat" in done.error
        assert read.code == 0, read.err  # readers are not kept out
        assert written(lock) == held
        for mode in (lock.probe, RunLock(live).take):
            with pytest.raises(UserError, match="this process is already training in"):
                mode()
    after = contents(live)
    assert after.pop("report.html")
    before.pop("report.html")
    assert after == before


def test_the_lock_goes_with_its_process(live: Path) -> None:
    flags = [*UNSCORED, "--steps", "4", "--sample-every", "0", "--out", str(live), "--resume"]
    flags.append("--allow-changed")
    dry, killed = run_all([Job("gan", [*flags, "--dry-run"]), Job("gan", flags, stop_at=3)])
    assert dry.code == 0, dry.err
    assert killed.code == -9, killed.err
    assert json.loads((live / LOCK).read_text())["host"] == socket.gethostname()
    (resumed,) = run_all([Job("gan", flags)])
    assert resumed.code == 0, resumed.err
    assert not (live / LOCK).exists()


def test_a_holder_on_another_host_counts_by_its_heartbeat(tmp_path: Path) -> None:
    """As on a mount that does not pass locks on."""
    holder = {"host": "elsewhere", "process": 1, "heartbeat": time.time() - 30}
    (tmp_path / LOCK).write_text(json.dumps(holder))
    lock = RunLock(tmp_path)
    for mode in (lock.probe, lock.take):
        with pytest.raises(UserError, match=r"by process 1 on elsewhere, last heartbeat 3\d s ago; its lock is not"):
            mode()
    (tmp_path / LOCK).write_text(json.dumps(holder | {"heartbeat": time.time() - 90}))
    with lock:
        lock.take()
        assert json.loads(written(lock))["process"] == os.getpid()
    for junk in ("", "[]", "{", '{"heartbeat": "x"}'):
        (tmp_path / LOCK).write_text(junk)
        lock.probe()


def test_a_file_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("mmgan.runs.lock.fcntl.lockf", refuse)
    with RunLock(tmp_path) as lock:
        lock.take()
        assert not lock.supported


def test_a_lock_file_that_its_holder_removes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, real = [], os.open

    def removed_once(path: object, *rest: int) -> int:
        descriptor = real(path, *rest)  # type: ignore[arg-type]
        if not opened:
            (tmp_path / LOCK).unlink()
        opened.append(descriptor)
        return descriptor

    monkeypatch.setattr("mmgan.runs.lock.os.open", removed_once)
    with RunLock(tmp_path) as lock:
        lock.take()
        assert len(opened) == 2
        assert (tmp_path / LOCK).exists()


def test_a_run_that_came_and_went_in_the_meantime_is_not_started_over(
    live: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import mmgan.train_gan

    out = tmp_path / "other"
    take = RunLock.take

    def late(lock: RunLock) -> None:
        shutil.copytree(live, out, dirs_exist_ok=True)
        take(lock)

    monkeypatch.setattr(RunLock, "take", late)
    assert mmgan.train_gan.main([*UNSCORED, "--out", str(out)]) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert contents(out) == contents(live)
