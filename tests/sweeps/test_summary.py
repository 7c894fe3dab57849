"""What a sweep ends with, over made-up runs, against numbers that are computed here from the textbook."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import integrate

from mmgan.sweeps.definition import Run, Sweep, list_runs
from mmgan.sweeps.running import Ended, SweepResult
from mmgan.sweeps.summary import summarize
from mmgan.sweeps.table import markdown, write_summary
from tests.support.report_runs import diagnosis, manifest

pytestmark = pytest.mark.slow(2)

FD = "FD (classifier:digits)"
FID = {
    "baseline": {0: 31.0, 1: 29.5, 2: 35.25, 3: 30.125},
    "mix=pixel": {0: 30.0, 1: 29.75, 2: 33.0, 3: 30.5},
    "mix=1,2,pixel": {0: 28.0, 1: 26.0, 2: 31.5, 3: 27.0},
}
ARMS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "mix=pixel": {"mix": "pixel"},
    "mix=1,2,pixel": {"mix": "1,2,pixel"},
}


def entry(fid: float | None, **changes: Any) -> dict[str, Any]:
    """The last scores of a GAN run."""
    values = {
        "inception_score_mean": None if fid is None else 300 / fid,
        "frechet_inception_distance": fid,
        "kernel_inception_distance_mean": None if fid is None else fid / 1000,
        "inception_score_std": 0.1,
        "kernel_inception_distance_std": 0.1,
    }
    return manifest(fid) | {
        "scores": values,
        "reason": "the generator yields values that are not finite" if fid is None else None,
        "extractor": {"name": "classifier:digits", "digest": "ab" * 32, "dims": 64},
        "samples": 2000,
        "real": {"name": "digits", "split": "train", "images": 1437},
        "settings": {"splits": 10},
        "step": 1000,
        **changes,
    }


def made_up(folder: Path, fid: dict[str, dict[int, Any]] = FID) -> SweepResult:
    """Runs that are done; a value is the FID, an entry of scores.json, or why the run failed."""
    sweep = Sweep("gan", None, {}, (0, 1, 2, 3), {arm: ARMS[arm] for arm in fid}, "baseline", folder)

    def ended(run: Run) -> Ended:
        value = fid[run.arm][run.seed]
        if isinstance(value, str):
            return Ended(run, "failed", value)
        run.folder.path.mkdir(parents=True, exist_ok=True)
        if value:
            last = entry(value) if isinstance(value, float) else value
            run.folder.write_scores({"last": last, "best": None, "history": [last]})
        return Ended(run, "done")

    return SweepResult(sweep, [ended(run) for run in list_runs(sweep)])


def t_quantile_of_975(df: int) -> float:
    """By bisection of the integral of Student's density."""
    scale = math.gamma((df + 1) / 2) / math.sqrt(df * math.pi) / math.gamma(df / 2)

    def beyond_half(t: float) -> float:
        return integrate.quad(lambda x: scale * (1 + x * x / df) ** (-(df + 1) / 2), 0, t)[0]

    low, high = 0.0, 50.0
    for _ in range(60):
        low, high = ((low + high) / 2, high) if beyond_half((low + high) / 2) < 0.475 else (low, (low + high) / 2)
    return low


def rows(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (folder / "summary.csv").open(newline="") as file:
        return {(row["arm"], row["metric"]): row for row in csv.DictReader(file)}


def test_the_numbers(tmp_path: Path) -> None:
    summary = summarize(made_up(tmp_path))
    write_summary(summary, tmp_path)
    found = rows(tmp_path)
    assert len(found) == 9  # three arms by three scores
    for arm, by_seed in FID.items():
        v, b = list(by_seed.values()), list(FID["baseline"].values())
        row = found[arm, FD]
        mean = sum(v) / 4
        assert float(row["mean"]) == pytest.approx(mean, rel=1e-12)
        assert float(row["sd"]) == pytest.approx(math.sqrt(sum((x - mean) ** 2 for x in v) / 3), rel=1e-12)
        assert (row["n"], row["seeds"]) == ("4", "0 1 2 3")
        assert "classifier:digits, weights abababababab: 2,000 samples at step 1,000 against digits" in row["judge"]
        if arm == "baseline":
            assert row["difference"] == row["low"] == row["high"] == row["pairs"] == ""
            continue
        d = [x - y for x, y in zip(v, b, strict=True)]
        middle = sum(d) / 4
        half = t_quantile_of_975(3) * math.sqrt(sum((x - middle) ** 2 for x in d) / 3 / 4)
        assert row["pairs"] == "4"
        assert [float(row[key]) for key in ("difference", "low", "high")] == pytest.approx(
            [middle, middle - half, middle + half], rel=1e-9
        )
    assert summary.values["mix=pixel"][FD] == FID["mix=pixel"]
    assert summary.values["baseline"]["class score"] == {seed: 300 / fid for seed, fid in FID["baseline"].items()}
    assert summary.notes == []


def test_seeds_that_are_missing_are_left_out_and_said(tmp_path: Path) -> None:
    known = {arm: dict(values) for arm, values in FID.items()}
    fid: dict[str, dict[int, Any]] = known
    fid["baseline"][1] = "exit code 1: out of memory"
    fid["mix=pixel"][3] = entry(None)
    fid["mix=1,2,pixel"] |= {0: {}, 2: "killed by SIGKILL: it said nothing"}  # not scored; failed
    summary = summarize(made_up(tmp_path, fid))
    assert summary.values["mix=pixel"][FD] == {0: 30.0, 1: 29.75, 2: 33.0}
    of = {line.arm: line for line in summary.lines if line.metric.name == FD}
    pixel = of["mix=pixel"].difference
    assert pixel is not None
    assert (pixel.n, pixel.mean) == (2, pytest.approx((-1.0 - 2.25) / 2))  # seeds 0 and 2
    assert of["mix=1,2,pixel"].difference is None  # seed 3 alone
    text = markdown(summary)
    for said in [
        "baseline, seed 1 is left out: it failed (exit code 1: out of memory)",
        "mix=pixel, seed 3 is left out: it has no scores (the generator yields values that are not finite)",
        "mix=1,2,pixel, seed 0 is left out: it was neither scored nor diagnosed",
        "mix=1,2,pixel, seed 2 is left out: it failed",
        "mix=1,2,pixel has fewer than two seeds in common with the baseline: no interval",
    ]:
        assert f"* {said}" in text


def test_runs_that_were_judged_differently_are_neither_averaged_nor_compared(tmp_path: Path) -> None:
    other = {"extractor": {"name": "classifier:digits", "digest": "cd" * 32, "dims": 64}}
    fid: dict[str, dict[int, Any]] = {
        "baseline": dict(FID["baseline"]),
        "mix=pixel": {**FID["mix=pixel"], 2: entry(33.0, **other)},
        "mix=1,2,pixel": {seed: entry(value, **other) for seed, value in FID["mix=1,2,pixel"].items()},
    }
    summary = summarize(made_up(tmp_path, fid))
    of = {line.arm: line for line in summary.lines if line.metric.name == FD}
    assert of["mix=pixel"].mean is None
    assert of["mix=1,2,pixel"].mean == pytest.approx(28.125)
    assert of["mix=1,2,pixel"].difference is None
    text = markdown(summary)
    assert "mix=pixel has no mean: they were scored with different values of extractor weights" in text
    assert "mix=1,2,pixel is not compared with baseline: they were scored with different values of extractor" in text
    assert "mix=1,2,pixel was judged by classifier:digits, weights cdcdcdcdcdcd" in text


def test_arms_of_different_lengths_are_compared_each_at_its_own_end(tmp_path: Path) -> None:
    fid: dict[str, dict[int, Any]] = {
        "baseline": dict(FID["baseline"]),
        "mix=pixel": {seed: entry(value, step=500) for seed, value in FID["mix=pixel"].items()},
    }
    summary = summarize(made_up(tmp_path, fid))
    assert [line.difference is not None for line in summary.lines if line.arm == "mix=pixel"] == [True] * 3
    assert "mix=pixel was judged by" in markdown(summary)  # the judges' lines tell the steps apart
    fid["mix=pixel"][0] = entry(30.0, step=1000)
    assert "mix=pixel has no mean: they were scored with different values of step" in markdown(
        summarize(made_up(tmp_path, fid))
    )


def test_the_table_is_markdown_and_the_figure_is_small_and_drawn(tmp_path: Path) -> None:
    files = write_summary(summarize(made_up(tmp_path)), tmp_path)
    assert [path.name for path in files] == ["summary.csv", "summary.md", "summary.png"]
    table = [line for line in (tmp_path / "summary.md").read_text().splitlines() if line.startswith("|")]
    assert len(table) == 3 * (2 + 3)
    assert len({line.count("|") for line in table}) == 1
    table = [" ".join(line.split()) for line in table]
    assert "| mix=1,2,pixel | 4 | 28.125 | 2.394 | 4 | -3.344 | [-3.891, -2.796] |" in table
    image = Image.open(tmp_path / "summary.png")
    assert image.width == 800
    assert (tmp_path / "summary.png").stat().st_size < 150_000
    assert np.asarray(image.convert("L")).std() > 10
    before = (tmp_path / "summary.png").read_bytes()
    write_summary(summarize(made_up(tmp_path)), tmp_path)
    assert (tmp_path / "summary.png").read_bytes() == before


def test_a_sweep_without_a_single_score(tmp_path: Path) -> None:
    (tmp_path / "summary.png").write_bytes(b"of an earlier sweep")
    summary = summarize(made_up(tmp_path, {"baseline": dict.fromkeys(range(4), "exit code 2: no data")}))
    assert [path.name for path in write_summary(summary, tmp_path)] == ["summary.csv", "summary.md"]
    assert not (tmp_path / "summary.png").exists()
    assert (tmp_path / "summary.md").read_text().count("exit code 2: no data") == 4
    assert json.dumps(summary.values) == '{"baseline": {}}'


def test_diagnoses_are_compared_seed_by_seed(tmp_path: Path) -> None:
    """With the scores of the same step, or alone."""
    scored = made_up(tmp_path / "scored")
    unscored = made_up(tmp_path / "unscored", {arm: dict.fromkeys(FID[arm]) for arm in FID})
    for result in (scored, unscored):
        for ended in result.runs:
            r = 0.1 * ended.run.seed + (0.0 if ended.run.arm == "baseline" else -0.05)
            ended.run.folder.note_diagnosis(diagnosis(1000, r), b"")
        summary = summarize(result)
        (line,) = [
            line for line in summary.lines if (line.metric.name, line.arm) == ("overfitting r of D", "mix=pixel")
        ]
        assert line.mean == pytest.approx(0.1)
        assert line.difference is not None
        assert line.difference.mean == pytest.approx(-0.05)
        assert "deviation of D from the line, layer 1" in [metric.name for metric in summary.metrics]
        assert (FD in [metric.name for metric in summary.metrics]) == (result is scored)
        assert not summary.notes
    assert "the diagnosis at step 1,000" in markdown(summarize(unscored))
    other = unscored.runs[0].run.folder
    other.note_diagnosis({**diagnosis(1000), "held_out": "digits (test)"}, b"")
    assert "scored with different values of held-out images of the diagnosis" in " ".join(summarize(unscored).notes)
