"""Every experiment through the command, quick; what it leaves behind; what it refuses."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmgan.commands.reproduce import main
from mmgan.experiments.catalogue import EXPERIMENTS
from mmgan.experiments.framework.results import read_result

REAL_DATA = ("bottleneck", "spectra", "factors")
"""Experiments that train on MNIST; the quick ones of the others make do with digits, or with none."""

LARGEST_FIGURE = 150_000


@pytest.fixture(autouse=True)
def _forked(forked_runs: None, judge_cache: Path) -> None:
    """The runs and evaluations of an experiment are forks, which find their judge in the cache."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained runs, shared as the experiments share them."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.slow(30)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs(
    name: str, runs: Path, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(request.getfixturevalue("real_data")) if name in REAL_DATA else "unused"
    words = [name, "--quick", "--out", str(tmp_path), "--runs", str(runs), "--data-root", root, "--jobs", "2"]
    assert main(words) == 0, capsys.readouterr().err
    folder = tmp_path / f"{name}-quick"
    result = read_result(folder / "results.json")
    assert (result.name, result.quick, result.scale) == (name, True, "cpu")
    assert result.command == f"mmgan reproduce {name} --quick"
    assert result.findings
    assert result.values
    assert all(finding.what and finding.ours and finding.n >= 1 for finding in result.findings)
    assert all(math.isfinite(number) for number in numbers(result.values))
    assert result.figures
    for figure in result.figures:
        png = (folder / figure).read_bytes()
        assert png.startswith(b"\x89PNG")
        assert len(png) <= LARGEST_FIGURE
    said = capsys.readouterr().out
    assert all(finding.what.replace("|", "\\|") in said for finding in result.findings)
    # Quick numbers mean nothing, and do not come into the comparison.
    assert result.findings[0].what not in (tmp_path / "comparison.md").read_text()


def numbers(values: Any) -> Iterator[float]:
    if isinstance(values, dict):
        for value in values.values():
            yield from numbers(value)
    elif isinstance(values, list):
        for value in values:
            yield from numbers(value)
    elif isinstance(values, float):
        yield values


@pytest.mark.slow(3)
def test_runs_are_shared_and_not_trained_again(runs: Path, tmp_path: Path) -> None:
    def reproduce(name: str) -> None:
        assert main([name, "--quick", "--out", str(tmp_path), "--runs", str(runs), "--jobs", "2"]) == 0

    reproduce("cifar")
    trained = {path: path.stat().st_mtime_ns for path in runs.rglob("scores.json")}
    reproduce("alpha")
    reproduce("deformations")
    again = {path: path.stat().st_mtime_ns for path in runs.rglob("scores.json")}
    assert trained
    assert {path: again[path] for path in trained} == trained


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["spirla"], "there is no experiment 'spirla': did you mean spiral?"),
        (["quux"], "there is no experiment 'quux': choose from spiral, bottleneck,"),
        (["spiral", "--jobs", "0"], "--jobs 0 is out of range: it must be at least 1"),
        (["spiral", "--scale", "gpu"], "argument --scale: invalid choice: 'gpu'"),
        ([], "the following arguments are required: NAME"),
        (["spiral", "--minutes", "5"], "--minutes is for regularizers-gan alone"),
        (["regularizers-gan", "--minutes", "-1"], "--minutes -1.0 is out of range: it must be at least 0"),
        (["all", "--extractor-weights", "x"], "--extractor-weights is for regularizers-gan alone"),
    ],
)
def test_bad_words(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_missing_data_is_told_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cifar", "--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs"), "--data-root", str(tmp_path)]
    assert main(words) == 2
    assert str(tmp_path / "cifar10-jpeg") in capsys.readouterr().err
    assert not (tmp_path / "out" / "cifar" / "results.json").exists()


def test_the_study_tells_what_it_lacks_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    words = ["regularizers-gan", "--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
    assert main([*words, "--data-root", str(tmp_path)]) == 2
    assert str(tmp_path / "cifar10-jpeg") in capsys.readouterr().err
    for more in (["--quick"], ["--scale", "paper"]):
        assert main([*words, *more, "--extractor-weights", "x"]) == 2
        assert "--extractor-weights is the file of timm:tf_efficientnet_lite0" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_damaged_result_is_told(tmp_path: Path) -> None:
    from mmgan.errors import UserError

    path = tmp_path / "results.json"
    path.write_text(json.dumps({"name": "spiral"}))
    with pytest.raises(UserError, match=r"results\.json is not an experiment's result"):
        read_result(path)
