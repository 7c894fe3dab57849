"""Names that no file can have, that a terminal would obey, or that cannot be written down: refused before any work."""

import os
from pathlib import Path

import pytest

import mmgan.__main__
from mmgan.errors import UserError, printable
from mmgan.process.program import program
from mmgan.storage import write_atomically
from mmgan.sweeps.read import read_sweep
from tests.support.refusals import refused_in_one_line
from tests.support.small_runs import CLASSIFIER
from tests.support.sweep_files import write_sweep

TRAIN = ["train-classifier", *CLASSIFIER]
NOT_UTF8 = os.fsdecode(b"run\xff")
REFUSED = {
    "a long name": ([*TRAIN, "--out", "x" * 256], "its name is too long"),
    "a long name inside": ([*TRAIN, "--out", f"a/{'x' * 256}/b"], "its name is too long"),
    "a long path": ([*TRAIN, "--out", "/".join(["x" * 200] * 20)], "its name is too long"),
    "not UTF-8": ([*TRAIN, "--out", NOT_UTF8], "--out run\\udcff is not valid"),
    "a line break": ([*TRAIN, "--out", "a\nb"], "--out a\\nb is not valid"),
    "a terminal's code": ([*TRAIN, "--out", "a\x1b[31mb"], "--out a\\x1b[31mb is not valid"),
    "nobody's home": ([*TRAIN, "--out", "~nosuchuser/x"], "~, which the shell did not replace"),
    "home, unreplaced": ([*TRAIN, "--out=~/x"], "~, which the shell did not replace"),
    "under a file": ([*TRAIN, "--out", "file/x"], "the run folder file/x cannot be written (file refuses)"),
    "a default name": ([*TRAIN, "--data", f"folder:{'x' * 250}"], "name another with --out"),
    "data that is not UTF-8": ([*TRAIN, "--out", "x", "--data", f"folder:{NOT_UTF8}"], "--data folder:run\\udcff is"),
    "nobody's data": ([*TRAIN, "--out", "x", "--data", "folder:~nosuchuser"], "there is no such user's folder"),
    "data of a long name": ([*TRAIN, "--out", "x", "--data", f"folder:{'x' * 300}"], "File name too long"),
    "a root of a long name": (
        [*TRAIN, "--out", "x", "--data", "mnist", "--data-root", "x" * 300],
        "File name too long",
    ),
    "a config of a long name": ([*TRAIN, "--config", "x" * 300], "File name too long"),
    "a deadline of centuries": ([*TRAIN, "--stop-deadline", "1e10"], "it must be below 1e+06"),
    "score": (["score", "x" * 300], "File name too long"),
    "score with codes": (["score", "a\nb\x1b[31m\u202e"], "a\\nb\\x1b[31m\\u202e is no run folder"),
    "report": (["report", "x" * 300], "File name too long"),
    "sweep": (["sweep", "x" * 300], "File name too long"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    return tmp_path


@pytest.mark.parametrize("name", REFUSED)
def test_names_are_refused_in_one_line(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv, message = REFUSED[name]
    assert mmgan.__main__.main(argv) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert error[:-1].isprintable()
    assert [path.name for path in here.iterdir()] == ["file"]


def test_a_working_folder_that_is_gone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "gone").mkdir()
    os.chdir(here / "gone")
    (here / "gone").rmdir()
    for argv in ([*TRAIN, "--out", "x"], [*TRAIN, "--out", str(here / "x")], ["report", "x"]):
        assert mmgan.__main__.main(argv) == 2
        assert capsys.readouterr().err.startswith("error: the working folder cannot be read")
    assert not (here / "x").exists()


def test_messages_stay_on_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    text = "ä ß 漢 e\u0301 \t\n\r\x1b[2J\x07\x9b\u2028\u202e\ufeff\udcff"
    assert printable(text) == "ä ß 漢 e\u0301 \\t\\n\\r\\x1b[2J\\x07\\x9b\\u2028\\u202e\\ufeff\\udcff"

    @program
    def refuses(argv: object) -> None:
        print("run\udcff")  # which a strict stdout would refuse
        raise UserError(f"{text} is wrong")

    assert refuses([]) == 2
    assert capfd.readouterr().err == f"error: {printable(text)} is wrong\n"


def test_a_page_may_name_what_is_not_utf8(tmp_path: Path) -> None:
    write_atomically(tmp_path / "page.html", f"<p>{NOT_UTF8}</p>")
    assert (tmp_path / "page.html").read_text("utf-8") == "<p>run\\udcff</p>"


def test_arms_of_a_sweep(tmp_path: Path) -> None:
    for arm, message in (("x" * 256, "its name is too long"), ("a\x1b[2J", "control characters in its name")):
        file = write_sweep(tmp_path, arms={arm: {}})
        refused_in_one_line(message, lambda file=file: read_sweep(file))
