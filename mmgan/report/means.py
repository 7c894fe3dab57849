"""Means over seeds, and the reasons why there is none."""

import json
import statistics
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import Any

from mmgan.report.entries import DIGEST, judge_of, metrics_of
from mmgan.report.record import Record

WITHOUT_EFFECT = {
    *("seed", "out", "resume", "overwrite", "dry_run", "data_root", "download", "tracker", "log_every"),
    *("allow_changed", "stop_deadline"),
    *("checkpoint_every", "keep_checkpoints", "sample_every", "score_every", "diagnose_every"),
}
"""Settings that may differ between runs that are averaged."""

HOW_SCORED = {
    *("score_samples", "real_split", "is_splits", "precision_recall", "density_coverage", "fd_infinite", "mmd"),
    *("intervals", "extractor", "extractor_weights", "protocol", "real_images", "resize"),
}
"""Settings of scoring, compared by scores.json (what was done) instead of config.yaml (what was asked for)."""


def means_over_seeds(records: Sequence[Record]) -> list[str]:
    """For each set of runs that differ only in the seed: mean ± sample deviation (n - 1), or why there is none."""
    ordered = sorted(records, key=_setting)
    groups = [list(group) for _, group in groupby(ordered, key=_setting)]
    groups.sort(key=lambda group: min(records.index(record) for record in group))
    return [_line(group) for group in groups if len(group) > 1]


def _setting(record: Record) -> str:
    """Every setting that decides a run's result, except the seed."""
    apart = WITHOUT_EFFECT if record.is_classifier else WITHOUT_EFFECT | HOW_SCORED
    return json.dumps({k: v for k, v in record.config.items() if k not in apart}, sort_keys=True, default=str)


def _line(group: Sequence[Record]) -> str:
    record = group[0]
    alpha = f", {record.law}" if record.layers else ""
    what = f"{record.config.get('data')}, layers {','.join(record.layers) or 'none'}{alpha}"
    seeds = sorted(int(record.config.get("seed", 0)) for record in group)
    names = ", ".join(str(record.folder.path) for record in group)
    fault = _fault(group, seeds)
    if fault:
        return f"{what}: no mean over {names}: {fault}"
    parts = []
    for metric in metrics_of(record.judged):
        values = [value for record in group if (value := metric.value(record.judged)) is not None]
        parts.append(f"{metric.name} {metric.text(statistics.fmean(values), statistics.stdev(values))}")
    return f"{what}: {', '.join(parts)}  (mean ± sd, n = {len(group)}, seeds {', '.join(map(str, seeds))})"


def _fault(group: Sequence[Record], seeds: Sequence[int]) -> str | None:
    """Why these runs must not be averaged, or None."""
    for record in group:
        if record.last is None:
            return f"{record.folder.path} was not scored"
        if record.last.get("reason"):
            return f"{record.folder.path} has no scores ({record.last['reason']})"
    if len(set(seeds)) < len(seeds):
        return f"they do not have {len(seeds)} different seeds ({', '.join(map(str, seeds))})"
    return judged_differently([record.judged for record in group])


def judged_differently(entries: Sequence[Mapping[str, Any]], apart: Collection[str] = ()) -> str | None:
    """Why the values of these entries of scores.json must not be combined, or None.

    Args:
        entries: one or more.
        apart: names from `judge_of` in which they may differ.
    """
    judges = [judge_of(entry) for entry in entries]
    for key in judges[0]:
        # Early runs lack the digest of the real images.
        values = list(dict.fromkeys(str(judge.get(key)) for judge in judges if key != DIGEST or judge.get(key)))
        if len(values) > 1 and key not in apart:
            return f"they were scored with different values of {key} ({' and '.join(values)})"
    if any(metrics_of(entry) != metrics_of(entries[0]) for entry in entries):
        return "they were scored by different measures"
    return None
