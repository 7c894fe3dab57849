"""Damaged checkpoints: every file truncated, one bit flipped in every file, all bad; and a full disk in the middle."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import mmgan.runs.checkpoints
import mmgan.storage
from mmgan.errors import StorageFailed, UserError
from mmgan.runs.checkpoints import (
    find_checkpoint,
    newest_checkpoint,
    prune_checkpoints,
    recover_checkpoints,
    save_checkpoint,
    step_name,
)
from mmgan.runs.loading import find_fault
from tests.support.compare import assert_same_run, contents, flip_bit, truncate
from tests.support.forks import Job, run_all, run_one
from tests.support.small_runs import CLASSIFIER, GAN, UNSCORED

pytestmark = pytest.mark.slow(8)

FILES = [
    *("generator.safetensors", "discriminator.safetensors", "generator-average.safetensors"),
    *("optimizer-g.pt", "optimizer-d.pt", "state.json", "manifest.json"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GAN run with the checkpoints 2, 4 and 6."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = run_one(Job("gan", [*UNSCORED, "--keep-checkpoints", "9", "--out", str(out)]))
    assert done.code == 0, done.err
    assert {path.name for path in (out / "checkpoints/step-00000006").iterdir()} == set(FILES)
    return out


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [flip_bit, truncate, Path.unlink])
def test_damage_to_any_file_is_found_and_the_checkpoint_before_it_chosen(whole: Path, tmp_path: Path, name, damage):
    checkpoints = tmp_path / "checkpoints"
    shutil.copytree(whole / "checkpoints", checkpoints)
    damage(checkpoints / "step-00000006" / name)
    path, faults = newest_checkpoint(checkpoints)
    assert path.name == "step-00000004"
    assert len(faults) == 1
    assert faults[0].startswith(f"{checkpoints}/step-00000006: ")
    assert name in faults[0] or name == "manifest.json"
    with pytest.raises(UserError, match="step-00000006"):
        find_checkpoint(checkpoints, "step-00000006")


def test_every_single_bit_of_a_manifest_counts(whole: Path, tmp_path: Path):
    checkpoint = tmp_path / "step-00000006"
    shutil.copytree(whole / "checkpoints/step-00000006", checkpoint)
    file = checkpoint / "manifest.json"
    content = file.read_bytes()
    for at in range(0, len(content), 3):
        for bit in range(8):
            file.write_bytes(content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :])
            assert find_fault(checkpoint) is not None, (at, bit)
    file.write_bytes(content)
    assert find_fault(checkpoint) is None


@pytest.mark.parametrize("manifest", ["{}", "[]", "null", "", '{"../step-00000004/state.json": "00"}'])
def test_a_manifest_that_vouches_for_nothing(whole: Path, tmp_path: Path, manifest: str):
    checkpoint = tmp_path / "step-00000006"
    shutil.copytree(whole / "checkpoints/step-00000006", checkpoint)
    (checkpoint / "manifest.json").write_text(manifest)
    fault = find_fault(checkpoint)
    assert fault is not None
    assert "manifest.json" in fault


def test_the_program_says_what_it_passes_over_and_ends_bitwise_the_same(whole: Path, tmp_path: Path):
    damaged, hopeless = tmp_path / "a/run", tmp_path / "b/run"
    shutil.copytree(whole, damaged)
    flip_bit(damaged / "checkpoints/step-00000006/discriminator.safetensors")
    truncate(damaged / "checkpoints/step-00000004/optimizer-g.pt")
    shutil.copytree(damaged, hopeless)
    (hopeless / "checkpoints/step-00000002/manifest.json").unlink()
    before = contents(hopeless)
    flags = [*UNSCORED, "--keep-checkpoints", "9", "--resume", "--out"]
    resumed, refused = run_all([Job("gan", [*flags, str(damaged)]), Job("gan", [*flags, str(hopeless)])])

    assert resumed.code == 0, resumed.err
    said = resumed.out.splitlines()
    place = damaged / "checkpoints"
    assert f"passed over: {place}/step-00000006: discriminator.safetensors does not have the content" in resumed.out
    assert f"passed over: {place}/step-00000004: optimizer-g.pt does not have the content" in resumed.out
    assert f"resumed from {place}/step-00000002 at step 2" in said
    assert_same_run(whole, damaged, scored=False)

    assert refused.code == 2
    for name in ("step-00000006", "step-00000004", "step-00000002: its manifest.json cannot be read"):
        assert name in refused.error
    assert contents(hopeless) == before


def test_bad_checkpoints_do_not_push_out_good_ones(tmp_path: Path):
    def save(step: int) -> None:
        save_checkpoint(tmp_path, step_name(step), {"net": nn.Linear(2, 2)}, {}, {"step": step})

    for step in (2, 4, 6):
        save(step)
    flip_bit(tmp_path / "step-00000006/net.safetensors")
    save(5)  # a run that went on from 4
    prune_checkpoints(tmp_path, 1, 5)
    assert newest_checkpoint(tmp_path)[0].name == "step-00000005"
    save(6)
    prune_checkpoints(tmp_path, 1, 6)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000006"]
    assert newest_checkpoint(tmp_path)[0].name == "step-00000006"
    save(123456789)
    prune_checkpoints(tmp_path, 1, 123456789)
    assert newest_checkpoint(tmp_path)[0].name == "step-123456789"


def test_a_replacement_that_was_cut_off_is_undone(tmp_path: Path):
    save_checkpoint(tmp_path, "best", {}, {}, {"step": 1})
    (tmp_path / "best").rename(tmp_path / ".best.old")
    (tmp_path / ".best.part").mkdir()
    assert find_checkpoint(tmp_path, "best") == tmp_path / ".best.old"  # a reader changes nothing
    recover_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["best"]
    assert json.loads((tmp_path / "best/state.json").read_text()) == {"step": 1}


@pytest.mark.parametrize("point", ["mkdir", "write", "rename", "rename back"])
def test_an_error_at_any_point_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch, point: str):
    save_checkpoint(tmp_path, "best", {"net": nn.Linear(2, 2)}, {}, {"step": 1})
    before = contents(tmp_path)
    method = {"mkdir": "mkdir", "rename": "rename", "rename back": "rename"}.get(point)
    original = getattr(Path, method) if method else mmgan.runs.checkpoints.write_flushed
    calls = 0

    def fail(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == (2 if point == "rename back" else 1):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        if method:
            patch.setattr(Path, method, fail)
        else:
            patch.setattr(mmgan.runs.checkpoints, "write_flushed", fail)
        with pytest.raises(StorageFailed, match=r"best cannot be written \(No space left on device\)"):
            save_checkpoint(tmp_path, "best", {"net": nn.Linear(2, 2)}, {}, {"step": 2})
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_a_full_disk_in_the_middle_of_a_run(tmp_path: Path):
    """Of the writes of a scored classifier run: in a checkpoint, in config.yaml, and in scores.json."""
    outs = {at: tmp_path / str(at) / "run" for at in (0, 7, 11, 19)}
    expected = {0: "config.yaml", 7: "optimizer.pt", 11: "best.part/classifier-average", 19: "scores.json"}
    flags = [*CLASSIFIER, "--keep-checkpoints", "9"]
    whole = tmp_path / "whole/run"
    jobs = [Job("classifier", [*flags, "--out", str(out)], full=at) for at, out in outs.items()]
    done = run_all([Job("classifier", [*flags, "--out", str(whole)]), *jobs])
    assert done[0].code == 0
    for (at, out), failed in zip(outs.items(), done[1:], strict=True):
        assert failed.code == 1
        assert "cannot be written (No space left on device)" in failed.error
        assert str(out) in failed.error
        assert expected[at] in failed.error
        assert not any(path.suffix == ".part" for path in out.rglob("*"))
        for path in (out / "checkpoints").glob("*"):
            assert find_fault(path) is None
    again = {at: out for at, out in outs.items() if at > 9}
    resumed = run_all([Job("classifier", [*flags, "--out", str(out), "--resume"]) for out in again.values()])
    for out, done_again in zip(again.values(), resumed, strict=True):
        assert done_again.code == 0, done_again.err
        assert_same_run(whole, out)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, full after a few checkpoints."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], check=False)
    if done.returncode:
        pytest.skip("a small file system cannot be mounted here: needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_disk_that_is_really_full(mounted: Path):
    out = mounted / "run"
    flags = [*UNSCORED, "--keep-checkpoints", "40", "--sample-every", "0", "--checkpoint-every", "1", "--steps", "40"]
    full = run_one(Job("gan", [*flags, "--out", str(out)]))
    assert full.code == 1
    assert "cannot be written (No space left on device)" in full.error
    assert str(out) in full.error
    path, faults = newest_checkpoint(out / "checkpoints")
    assert faults == []
    for checkpoint in (out / "checkpoints").iterdir():
        assert find_fault(checkpoint) is None
    subprocess.run(["mount", "-o", "remount,size=64m", str(mounted)], check=True)
    steps = int(path.name.removeprefix("step-"))
    resumed = run_one(Job("gan", [*flags, "--out", str(out), "--resume"]))
    assert resumed.code == 0, resumed.err
    assert f"at step {steps}" in resumed.out
    state = torch.load(out / "checkpoints/step-00000040/optimizer-g.pt", weights_only=True)
    assert state["state"][0]["step"] == 40


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_disk_that_is_read_only(mounted: Path):
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    refused = run_one(Job("gan", [*GAN, "--out", str(mounted / "run")]))
    assert refused.code == 2
    assert "cannot be written" in refused.error
    assert str(mounted / "run") in refused.error
