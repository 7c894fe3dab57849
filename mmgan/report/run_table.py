"""Several runs in one table for the terminal."""

from collections.abc import Sequence

from mmgan.report.entries import MISSING, is_generated, judge_text, metrics_of, plain_text
from mmgan.report.means import means_over_seeds
from mmgan.report.record import Record, read_record
from mmgan.runs.folder import RunFolder


def compare(folders: Sequence[RunFolder]) -> str:
    """One line per run with its last scores and their judge, and mean ± deviation over seeds.

    Runs are averaged if they share every setting that decides the result except the seed, and were scored alike: with
    one extractor, real split, number of samples and step. For other runs a line says why not.

    Raises:
        UserError: if a folder is not a run's, or a file in it is damaged.
    """
    records = [read_record(folder) for folder in folders]
    judges: list[str] = []
    parts = []
    for kind in (False, True):
        of_kind = [record for record in records if record.is_classifier == kind]
        if of_kind:
            parts.append(_table(of_kind, judges))
    parts.append("\n".join(f"[{i}] {judge}" for i, judge in enumerate(judges, 1)))
    parts.append("\n".join(means_over_seeds(records)) or "no two runs differ in the seed alone: nothing is averaged")
    return "\n\n".join(part for part in parts if part)


def _table(records: Sequence[Record], judges: list[str]) -> str:
    """The runs of one trainer; new judges are added to the list."""
    metrics = list(dict.fromkeys(m for record in records if record.last for m in metrics_of(record.last)))
    last = "tested on" if records[0].is_classifier else "extractor"
    rows = [["run", "data", "layers", "alpha", "seed", "steps", *(metric.name for metric in metrics), last]]
    for record in records:
        config, known = record.config, metrics_of(record.last) if record.last else []
        rows.append(
            [
                str(record.folder.path),
                str(config.get("data", MISSING)),
                ",".join(record.layers) or "none",
                record.law.removeprefix("alpha ") if record.layers else MISSING,
                plain_text(config.get("seed")),
                f"{record.step:,}",
                *(m.text(m.value(record.last) if record.last and m in known else None) for m in metrics),
                _judge_mark(record, judges),
            ]
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _judge_mark(record: Record, judges: list[str]) -> str:
    """The name of the extractor or of the test data, and the number of the note on the judge."""
    if record.last is None:
        return "not scored"
    last, judge = record.last, judge_text(record.last)
    if judge not in judges:
        judges.append(judge)
    name = last["extractor"]["name"] if is_generated(last) else last["data"]["name"]
    return f"{name} [{judges.index(judge) + 1}]"
