"""A sweep's summary as files: summary.csv, summary.md, summary.png."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mmgan.report.entries import MISSING, Metric
from mmgan.storage import write_atomically
from mmgan.sweeps.summary import Line, Summary

COLUMNS = ("metric", "arm", "n", "mean", "sd", "pairs", "difference", "low", "high", "seeds", "judge")


def write_summary(summary: Summary, folder: Path) -> list[Path]:
    """Write summary.csv and summary.md, and summary.png if there is anything to draw.

    Returns:
        The files.

    Raises:
        StorageFailed: if one cannot be written.
    """
    contents: dict[str, str | bytes] = {"summary.csv": csv_text(summary), "summary.md": markdown(summary)}
    if any(line.values for line in summary.lines):
        from mmgan.sweeps.figure import draw_summary  # here: matplotlib takes a second

        contents["summary.png"] = draw_summary(summary)
    else:
        (folder / "summary.png").unlink(missing_ok=True)  # of an earlier sweep
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def csv_text(summary: Summary) -> str:
    """A row for each arm and metric, unrounded; difference, low and high are arm - baseline and its 95 % interval."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    for line in summary.lines:
        d = line.difference
        paired = [d.n, d.mean, d.low, d.high] if d else [""] * 4
        seeds = " ".join(map(str, line.values))
        judge = summary.judges.get(line.arm, "")
        rows.writerow([line.metric.name, line.arm, len(line.values), line.mean, line.sd, *paired, seeds, judge])
    return out.getvalue()


def markdown(summary: Summary) -> str:
    """A table for each metric, with its judge and what is missing."""
    parts = [_table(metric, [line for line in summary.lines if line.metric == metric]) for metric in summary.metrics]
    judges = list(dict.fromkeys(summary.judges.values()))
    if len(judges) == 1:
        parts.append(f"Judged by {judges[0]}.")
    else:
        parts += [f"{_cell(arm)} was judged by {judge}." for arm, judge in summary.judges.items()]
    if summary.notes:
        parts.append("\n".join(f"* {note}" for note in summary.notes))
    if summary.lines:
        parts.append(_cell(how_to_read(summary.baseline)))
    return "\n\n".join(parts) + "\n"


def rows_of(metric: Metric, lines: Sequence[Line]) -> list[list[str]]:
    """The head and a row for each of the lines, which are of this metric."""
    rows = [[f"{metric.name} {metric.better}", "n", "mean", "sd", "pairs", "difference", "95 % interval"]]
    for line in lines:
        d, digits = line.difference, metric.digits
        paired = [MISSING] * 3
        if d:
            paired = [str(d.n), f"{d.mean:+.{digits}f}", f"[{d.low:+.{digits}f}, {d.high:+.{digits}f}]"]
        rows.append([line.arm, str(len(line.values)), metric.text(line.mean), metric.text(line.sd), *paired])
    return rows


def _table(metric: Metric, lines: Sequence[Line]) -> str:
    rows = [[_cell(cell) for cell in row] for row in rows_of(metric, lines)]
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
    rule = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    padded = [
        [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))] for row in rows
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [padded[0], rule, *padded[1:]])


def how_to_read(baseline: str | None) -> str:
    """What the columns of the tables are."""
    text = "n: seeds; sd: sample deviation over seeds (n - 1)."
    if baseline:
        text += (
            f" Difference: arm - {baseline}, seed by seed, with Student's 95 % interval of its mean; an"
            " interval that contains 0 does not tell which is better. Nothing is corrected"
            " for the number of comparisons."
        )
    return text


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
