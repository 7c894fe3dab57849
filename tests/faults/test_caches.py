"""Caches after a kill or a flipped bit: nothing is left behind, and nothing stays broken."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mmgan.data.files
from mmgan.data.cache import decoded
from mmgan.data.files import Form, Request
from mmgan.errors import UserError
from mmgan.storage import cached_file

pytestmark = pytest.mark.slow(2)


@pytest.fixture
def request_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    monkeypatch.setenv("MMGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mmgan.data.files, "SETTLED", -1.0)  # a stamp at once
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(np.full((8, 8), 40 * i, np.uint8)).save(folder / f"{i}.png")
    return Request(folder, ("0.png", "1.png", "2.png"), Form(8, 1, False))


def test_a_stamp_with_any_bit_flipped_is_made_again(request_of: Request, tmp_path: Path) -> None:
    pixels, _ = decoded(request_of)
    images = tmp_path / "cache/images"
    (stamp,) = images.glob("*.stamp")
    names, content = {path.name for path in images.iterdir()}, stamp.read_bytes()
    for at in range(0, len(content), 3):
        for bit in (0, 3, 7):
            stamp.write_bytes(content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :])
            again, _ = decoded(request_of)
            assert (again == pixels).all()
            assert stamp.read_bytes() == content, (at, bit)
            assert {path.name for path in images.iterdir()} == names


@pytest.mark.parametrize("text", ["", "x", "{seen} ../../outside {check}", "{seen} {key}", "\u00e4"])
def test_a_stamp_of_another_kind_is_made_again(request_of: Request, tmp_path: Path, text: str) -> None:
    decoded(request_of)
    (stamp,) = (tmp_path / "cache/images").glob("*.stamp")
    content = stamp.read_text()
    seen, key, check = content.split(" ")
    stamp.write_text(text.format(seen=seen, key=key, check=check))
    decoded(request_of)
    assert stamp.read_text() == content


def killed_while_writing(path: Path) -> None:
    child = os.fork()
    if not child:
        with cached_file(path) as part:
            part.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_writes_stays(tmp_path: Path) -> None:
    for _ in range(2):
        killed_while_writing(tmp_path / "a")
    assert len(list(tmp_path.iterdir())) == 1  # the second removed what the first had left
    with cached_file(tmp_path / "b") as one:
        one.write_bytes(b"one")
        with cached_file(tmp_path / "c") as other:
            other.write_bytes(b"other")
        assert one.read_bytes() == b"one"
        assert len(list(tmp_path.iterdir())) == 2
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"b": b"one", "c": b"other"}


def test_a_folder_that_was_taken_for_left_behind_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl
    import shutil

    flock, calls = fcntl.flock, []

    def removed_first(lock: object, how: int) -> None:
        if not calls:
            shutil.rmtree(next(tmp_path.glob(".unfinished-*")))
        calls.append(time.monotonic())
        flock(lock, how)  # type: ignore[arg-type]

    monkeypatch.setattr("mmgan.storage.fcntl.flock", removed_first)
    with cached_file(tmp_path / "a") as part:
        part.write_bytes(b"whole")
    assert len(calls) == 2
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError), cached_file(tmp_path / "a"):
        raise OSError("full")
    assert list(tmp_path.iterdir()) == []
