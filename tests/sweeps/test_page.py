"""A sweep's page: its numbers are the summary's, each arm has its samples, and nothing of it is markup."""

from pathlib import Path

import pytest

from mmgan.sweeps.definition import Sweep, list_runs
from mmgan.sweeps.page import write_page
from mmgan.sweeps.running import Ended, SweepResult
from mmgan.sweeps.summary import summarize
from tests.support.pages import Page, read_page
from tests.support.report_runs import gan_run, manifest

FD = "FD (classifier:digits)"
FID = {"baseline": [31.0, 29.5, 35.25], "pixel": [30.0, 28.0, 33.5]}


def written(folder: Path, arms: dict[str, dict[str, object]], *, grids: bool = True) -> Page:
    sweep = Sweep("gan", None, {}, (0, 1, 2), arms, "baseline", folder)
    runs = list_runs(sweep)
    for run in runs:
        known = FID["baseline" if run.arm == "baseline" else "pixel"][run.seed]
        steps = (100, 400) if grids else ()
        gan_run(run.folder.path, done=1, grids=steps, history=[manifest(known, seed=run.seed)])
        run.folder.report_file.write_text("a page")
    result = SweepResult(sweep, [Ended(run, "done") for run in runs])
    return read_page(write_page(result, summarize(result)))


def test_numbers_figures_and_samples(tmp_path: Path) -> None:
    page = written(tmp_path / "sweep", {"baseline": {}, "mixing": {"mix": "pixel"}})
    mean, baseline = sum(FID["pixel"]) / 3, sum(FID["baseline"]) / 3
    (row,) = [row for row in page.rows if row[0] == "mixing" and f"{mean:.3f}" in row]
    assert row[4:6] == ["3", f"{mean - baseline:+.3f}"]
    figure = page.figures[FD]
    dots = [at for tag, at in figure.shapes if tag == "circle" and at["class"] == "mark"]
    assert [figure.value("x", float(at["cx"])) for at in dots] == pytest.approx([baseline, mean], abs=0.05)
    faint = [at for tag, at in figure.shapes if tag == "circle" and at["class"] == "faint"]
    seeds = [figure.value("x", float(at["cx"])) for at in faint]
    assert seeds == pytest.approx([*FID["baseline"], *FID["pixel"]], abs=0.05)
    assert len(page.images) == 2
    assert [link for link in page.links if not link.startswith("data:")] == [
        "baseline/seed0/report.html",
        "mixing/seed0/report.html",
    ]
    assert "6 of 6" in page.words


def test_an_arm_without_samples_says_so_and_names_are_escaped(tmp_path: Path) -> None:
    evil = '<img src=x onerror=alert("1")>&'
    page = written(tmp_path / "sweep", {"baseline": {}, evil: {"mix": "pixel"}}, grids=False)
    assert evil in page.words
    assert page.images == []
    assert "img" not in page.tags
    assert page.words.count("No run of this arm has written a sample grid.") == 2


def test_a_sweep_without_scores(tmp_path: Path) -> None:
    sweep = Sweep("gan", None, {}, (0,), {"baseline": {}}, "baseline", tmp_path)
    result = SweepResult(sweep, [Ended(run, "failed", "exit code 2: no data") for run in list_runs(sweep)])
    page = read_page(write_page(result, summarize(result)))
    assert "No run of this sweep has scores." in page.words
    assert page.row("baseline, seed 0")[1:3] == ["failed", "exit code 2: no data"]
