"""A sweep's report.html: its scores by arm, and samples of each arm."""

import os
from pathlib import Path
from urllib.parse import quote

from mmgan.report.chart import Row, Rows
from mmgan.report.content import Block, Note, Page, Panel, Panels, Picture, Section, Table
from mmgan.report.entries import MISSING, Metric
from mmgan.report.grids import small_grid
from mmgan.report.record import grids_of
from mmgan.report.render import render
from mmgan.storage import write_atomically
from mmgan.sweeps.running import SweepResult
from mmgan.sweeps.summary import Line, Summary
from mmgan.sweeps.table import how_to_read, rows_of


def write_page(result: SweepResult, summary: Summary) -> Path:
    """Write the sweep's report.html, whole or not at all; it leads to the pages of the runs.

    Returns:
        Its path.

    Raises:
        StorageFailed: if it cannot be written.
        UserError: if a sample grid cannot be read.
    """
    sweep = result.sweep
    done = sum(ended.state == "done" for ended in result.runs)
    facts = {
        "trainer": sweep.trainer,
        "arms": f"{len(sweep.arms):,}",
        "seeds": ", ".join(map(str, sweep.seeds)),
        "baseline": sweep.baseline or MISSING,
        "runs done": f"{done} of {len(result.runs)}",
    }
    sections = [_scores(summary), _samples(result), _runs(result)]
    path = sweep.folder / "report.html"
    write_atomically(path, render(Page(f"Sweep {sweep.folder.absolute().name}", facts, sections)))
    return path


def _scores(summary: Summary) -> Section:
    if not summary.lines:
        return Section("Scores", [Note("No run of this sweep has scores."), *map(Note, summary.notes)])
    panels = [_figure(metric, summary) for metric in summary.metrics]
    bars = "of the paired difference from the baseline (dashed)" if summary.baseline else "of the mean over seeds"
    blocks: list[Block] = [
        Panels(panels),
        Note(f"Dots: means over seeds; bars: 95 % interval {bars}; grey: single seeds."),
        *(_table(metric, summary) for metric in summary.metrics),
        Note(how_to_read(summary.baseline)),
        *(Note(f"Judged by {judge}.") for judge in dict.fromkeys(summary.judges.values())),
        *(Note(note, "warning") for note in summary.notes),
    ]
    return Section("Scores", blocks)


def _lines_of(metric: Metric, summary: Summary) -> list[Line]:
    return [line for line in summary.lines if line.metric == metric]


def _figure(metric: Metric, summary: Summary) -> Panel:
    lines = _lines_of(metric, summary)
    reference = next((line.mean for line in lines if line.arm == summary.baseline), None)
    rows = []
    for line in lines:
        text = "no scores" if line.mean is None else f"{metric.text(line.mean)}, n = {len(line.values)}"
        seeds, dot = list(line.values.values()), line.at(reference)
        rows.append(Row(line.arm, dot=dot, interval=line.interval(reference), faint=seeds, text=text))
    better = "lower" if metric.better == "↓" else "higher"
    return Panel(metric.name, Rows(f"{metric.name} ({better} is better)", rows, reference=reference))


def _table(metric: Metric, summary: Summary) -> Table:
    head, *rows = rows_of(metric, _lines_of(metric, summary))
    return Table(head, rows, "scores")


def _samples(result: SweepResult) -> Section:
    if result.sweep.trainer != "gan":
        return Section("Samples by arm", [Note("Classifiers make no samples.")])
    panels = [_of_arm(result, arm) for arm in result.sweep.arms]
    note = Note("The newest grid of each arm's first seed that has one. A title leads to that run's page.")
    return Section("Samples by arm", [Panels(panels, "pictures"), note])


def _of_arm(result: SweepResult, arm: str) -> Panel:
    for folder in (ended.run.folder for ended in result.runs if ended.run.arm == arm):
        if grids := grids_of(folder):
            step, path = list(grids.items())[-1]
            page = folder.report_file
            link = quote(os.path.relpath(page, result.sweep.folder)) if page.is_file() else ""
            shown = Picture(*small_grid(path, 640), f"samples of {arm}")
            return Panel(arm, shown, f"{folder.path.name}, step {step:,}", link)
    return Panel(arm, "No run of this arm has written a sample grid.")


def _runs(result: SweepResult) -> Section:
    rows = [[ended.run.name, ended.state, ended.why or MISSING, str(ended.run.folder.path)] for ended in result.runs]
    return Section("Runs", [Table(["run", "state", "why", "folder"], rows)])
