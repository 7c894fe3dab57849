"""The table of figures: verdicts, its places in Markdown, which must show the committed JSON, and one commit a file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import mixed_forward, run
from benchmarks.rows import Row
from benchmarks.run import PARTS, as_json, main
from benchmarks.table import MARKED, fill, number, render
from benchmarks.timing import Timings, alternate

ROOT = Path(__file__).parents[2]


def test_a_verdict_compares_the_value_with_its_target() -> None:
    assert Row("a", 1.3, "x").verdict == "none"
    assert [Row("a", value, "x", at_most=1.3).verdict for value in (1.2, 1.3, 1.4)] == ["met", "met", "not met"]
    assert [Row("a", value, "x", at_least=2).verdict for value in (1.9, 2.0, 2.1)] == ["not met", "met", "met"]


def test_ratios_are_medians_over_neighbours() -> None:
    wall = {"a": np.array([2.0, 40.0, 6.0, 8.0, 10.0]), "b": np.array([1.0, 20.0, 2.0, 4.0, 5.0])}
    ratio = Timings(wall, wall).ratio("a", to="b")
    assert ratio.value == 2
    assert 2 <= ratio.low <= ratio.high <= 3


@pytest.mark.slow(2)
def test_calls_alternate_in_turned_round_order() -> None:
    calls: list[str] = []
    timings = alternate({name: lambda name=name: calls.append(name) for name in "ab"}, 2, warmup=1)
    assert "".join(calls) in ("abbaab", "baabba")
    assert timings.wall["a"].shape == timings.cpu["b"].shape == (2,)


def test_numbers_keep_four_digits() -> None:
    assert [number(value) for value in (1.26789, 0.00123456, 12345.6, 0, 100.0)] == [
        "1.268",
        "0.001235",
        "12,346",
        "0",
        "100.0",
    ]


def test_the_table_takes_its_marked_place(tmp_path: Path) -> None:
    rows = [
        as_json(Row("a step", 1.25, "x", (1.2, 1.3), at_most=1.3, arithmetic="1.20 x", headline=True), quick=False),
        as_json(Row("another", 2, "ms"), quick=False),
    ]
    facts = {"commit": "abc", "gpu": None, "processor": "two cores", "torch": "2", "seconds": {"gan_step": 119}}
    (tmp_path / "here.json").write_text(json.dumps(facts | {"parts": {"gan_step": rows}}))
    text = "before\n<!-- speed:begin here.json -->\nold\n<!-- speed:end -->\nafter\n"
    filled = fill(text, tmp_path)
    assert filled.splitlines()[2] == "Commit abc; two cores; torch 2; 2 minutes."
    assert filled.splitlines()[6:8] == [
        "| a step | 1.250 x | 1.200 to 1.300 | 1.20 x | at most 1.300 | met |",
        "| another | 2.000 ms |  |  |  |  |",
    ]
    assert "old" not in filled
    assert filled.startswith("before\n")
    assert filled.endswith("after\n")
    assert fill(filled, tmp_path) == filled
    few = fill(text.replace("here.json", "here.json headlines"), tmp_path)
    assert "a step" in few
    assert "another" not in few


@pytest.mark.parametrize(("file", "rows"), [("README.md", range(1, 6)), ("docs/performance.md", range(10, 200))])
def test_the_tables_are_those_of_the_committed_figures(file: str, rows: range) -> None:
    text = (ROOT / file).read_text()
    (place,) = MARKED.finditer(text)
    assert place[0].count("\n|") - 2 in rows
    assert fill(text, (ROOT / file).parent) == text


def test_a_part_adds_to_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part itself runs in the test of the GPU script."""
    monkeypatch.setattr(mixed_forward, "measure", lambda device, quick: [Row("a", 1.0, "x"), Row("b", 2.0, "us")])
    for _ in range(2):
        main(["--quick", "--only", "mixed_forward", "--results", str(tmp_path)])
    found = json.loads((tmp_path / "quick.json").read_text())
    assert list(found["parts"]) == ["mixed_forward"]
    assert [row["verdict"] for row in found["parts"]["mixed_forward"]] == [
        "none",
        "none",
    ]  # tiny settings decide nothing
    assert render(found["parts"]) in capsys.readouterr().out


def test_figures_of_another_commit_leave_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed_forward, "measure", lambda device, quick: [Row("new", 1.0, "x")])
    for code, expected in (("one", ["gan_step", "mixed_forward"]), ("two", ["mixed_forward"])):
        found = {
            "commit": "one",
            "seconds": {"gan_step": 3},
            "parts": {"gan_step": [as_json(Row("old", 1, "x"), True)]},
        }
        (tmp_path / "quick.json").write_text(json.dumps(found))
        monkeypatch.setattr(run, "commit", lambda code=code: code)
        main(["--quick", "--only", "mixed_forward", "--results", str(tmp_path)])
        found = json.loads((tmp_path / "quick.json").read_text())
        assert (found["commit"], list(found["parts"]), list(found["seconds"])) == (code, expected, expected)


@pytest.mark.soak
def test_the_gpu_script_runs_on_a_cpu(tmp_path: Path) -> None:
    words = ["sh", "benchmarks/gpu.sh", "--only", "mixed_forward", "--results", str(tmp_path)]
    settings = {"DEVICE": "cpu", "QUICK": "1", "PYTHON": sys.executable}
    done = subprocess.run(words, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "quick.json").read_text())["device"] == "cpu"


def test_parts_exist_and_others_are_refused() -> None:
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} >= set(PARTS)
    with pytest.raises(SystemExit):
        main(["--only", "gan_steps"])
