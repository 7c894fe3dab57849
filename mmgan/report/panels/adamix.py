"""AdaMix's learned intervals of lam, by epoch and by pair of classes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmgan.report.chart import Chart, Line
from mmgan.report.content import Block, Note, Panel, Panels, Section, Table
from mmgan.report.record import Record

LARGEST = 20
"""Classes beyond which the table by pair is left to metrics.jsonl."""


def intervals(record: Record) -> list[Section]:
    """The means of a and d on the validation images, and the discriminator's judgement; nothing for other runs."""
    rows = [row for row in record.metrics if "val_policy_a" in row]
    if not rows:
        return []
    blocks: list[Block] = [Panels(_charts(record, rows))]
    by_pair = rows[-1].get("val_by_pair")
    if by_pair is not None and len(by_pair["a"]) <= LARGEST:
        how = "Lines: the class that lam weighs. Columns: the other one."
        blocks += [_by_pair(by_pair), Note(f"Mean a and a + d after epoch {rows[-1]['epoch']}. {how}")]
    if record.last and "adamix" in record.last:
        judged = record.last["adamix"]["judged_real"]
        named = {"the images": "real", "AdaMix's mixes": "adamix", "uniform mixes of the same pairs": "uniform"}
        lines = [[text, f"{judged[key]:.4f}", f"{judged[f'{key}_share']:.1f} %"] for text, key in named.items()]
        head = ["judged by the intrusion discriminator", "mean probability of real", "judged real"]
        blocks.append(Table(head, lines))
        blocks.append(Note(f"On {judged['pairs']:,} validation images and pairs of them, after the last epoch."))
    return [Section("Learned intervals", blocks)]


def _charts(record: Record, rows: Sequence[Mapping[str, Any]]) -> list[Panel]:
    of_epoch: dict[int, list[float]] = {}
    for row in record.metrics:
        if "judged_real" in row:
            of_epoch.setdefault(row["epoch"], []).append(row["judged_real"])
    epochs = [row["epoch"] for row in rows]
    means = [math.fsum(of_epoch[epoch]) / len(of_epoch[epoch]) if epoch in of_epoch else None for epoch in epochs]
    low = Line("a", epochs, [row["val_policy_a"] for row in rows], look="dots")
    high = Line("a + d", epochs, [row["val_policy_a"] + row["val_policy_d"] for row in rows], look="dots")
    chosen = "On the validation images: the generator chooses [a, a + d] for each pair, and lam is drawn from it."
    judged = Line("mixes", epochs, means, look="dots")
    return [
        Panel("Interval of lam", Chart("epoch", "lam", [low, high], whole_x=True), chosen),
        Panel("Mixes taken for real", Chart("epoch", "probability of real", [judged], whole_x=True), "Training mixes."),
    ]


def _by_pair(by_pair: Mapping[str, Any]) -> Table:
    classes = range(len(by_pair["a"]))

    def cell(i: int, j: int) -> str:
        a, d = by_pair["a"][i][j], by_pair["d"][i][j]
        return "" if a is None else f"{a:.3f} to {a + d:.3f}"

    return Table(["", *map(str, classes)], [[str(i), *(cell(i, j) for j in classes)] for i in classes])
