"""A small campaign of mutated files, and the campaign's own rules; `make soak` runs 10,000 files."""

import os
import re
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import mmgan.data.files
from tests.faults.soak_fuzz import all_targets
from tests.support import fuzz
from tests.support.fuzz import Target, run

pytestmark = pytest.mark.slow(6)


def test_mutated_files_are_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mmgan.data.files, "SETTLED", mmgan.data.files.SETTLED)  # the campaign sets it
    targets = all_targets(tmp_path)
    tally = run(targets, 100, 1, tmp_path)
    assert tally.faults == []
    assert tally.outcomes.total() == 100
    assert {target for target, _ in tally.outcomes} == {target.name for target in targets}
    assert {outcome for _, outcome in tally.outcomes} == {"read", "refused"}


def hang(_: bytes) -> None:
    while True:
        pass


def end(_: bytes) -> None:
    os._exit(3)


def peak() -> int:
    """Bytes that this process has had at most; a fork may start from its parent's."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


BROKEN: dict[str, tuple[Callable[[bytes], object], str]] = {
    "crash": (lambda data: {}[data], "KeyError"),
    "hang": (hang, "hung"),
    "end": (end, r"ended its process \(3\)"),
    "memory": (lambda _: bytearray(3 << 30), "too much memory"),
    "growth": (lambda _: b"x" * (peak() + (64 << 20)), "took"),
    "file": (lambda _: Path("../elsewhere").write_text("x"), "touched open .*elsewhere"),
    "program": (lambda _: subprocess.run(["true"], check=True), r"touched subprocess\.Popen true"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_campaign_finds_what_breaks_a_rule(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, message = BROKEN[name]
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    monkeypatch.setattr(fuzz, "SECONDS", 0.1)
    if name == "growth":
        monkeypatch.setattr(fuzz, "MEMORY", 1 << 20)
        monkeypatch.setattr(fuzz, "SECONDS", 20)
        monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    tally = run([Target("good", [b"x"], bytes), Target("bad", [b"x"], read)], 6, 0, tmp_path / "inside")
    assert tally.outcomes["good", "read"] == 3
    assert len(tally.faults) == 3 if name != "growth" else tally.faults
    for fault in tally.faults:
        assert fault.startswith("bad, seed 0, file ")
        assert re.search(message, fault), fault


def test_mutations_are_a_function_of_seed_and_number() -> None:
    targets = [Target("a", [b'{"x": [1, {"y": 2}]}\n{"x": 3}\n'], bytes, json=True), Target("b", [bytes(99)], bytes)]
    files = [fuzz.content(targets, number, 5) for number in range(200)]
    assert files == [fuzz.content(targets, number, 5) for number in range(200)]
    assert files != [fuzz.content(targets, number, 6) for number in range(200)]
    assert len(set(files)) > 150
