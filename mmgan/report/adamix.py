"""The section on AdaMix's learned intervals of lam, by epoch and by pair of classes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmgan.report.curves import Panel, point_curves
from mmgan.report.markup import Html, figure, note, picture, section, table
from mmgan.report.record import Record

LARGEST = 20
"""Classes beyond which the table by pair is left to metrics.jsonl."""


def intervals(record: Record) -> Html:
    """The means of a and d on the validation images, and the discriminator's judgement; nothing for other runs."""
    rows = [row for row in record.metrics if "val_policy_a" in row]
    if not rows:
        return Html("")
    caption = "On the validation images: the generator chooses [a, a + d] for each pair, and lam is drawn from it."
    parts = [figure(picture(_chart(record, rows), "image/png", "intervals by epoch", "chart"), caption)]
    by_pair = rows[-1].get("val_by_pair")
    if by_pair is not None and len(by_pair["a"]) <= LARGEST:
        how = "Lines: the class that lam weighs. Columns: the other one."
        parts += [_by_pair(by_pair), note(f"Mean a and a + d after epoch {rows[-1]['epoch']}. {how}")]
    if record.last and "adamix" in record.last:
        judged = record.last["adamix"]["judged_real"]
        named = {"the images": "real", "AdaMix's mixes": "adamix", "uniform mixes of the same pairs": "uniform"}
        lines = [[text, f"{judged[key]:.4f}", f"{judged[f'{key}_share']:.1f} %"] for text, key in named.items()]
        parts.append(table(["judged by the intrusion discriminator", "mean probability of real", "judged real"], lines))
        parts.append(note(f"On {judged['pairs']:,} validation images and pairs of them, after the last epoch."))
    return section("Learned intervals", *parts)


def _chart(record: Record, rows: Sequence[Mapping[str, Any]]) -> bytes:
    of_epoch: dict[int, list[float]] = {}
    for row in record.metrics:
        of_epoch.setdefault(row["epoch"], []).append(row.get("judged_real", math.nan))
    means = [math.fsum(of_epoch[row["epoch"]]) / len(of_epoch[row["epoch"]]) for row in rows]
    ends = {"a": [row["val_policy_a"] for row in rows]}
    ends["a + d"] = [row["val_policy_a"] + row["val_policy_d"] for row in rows]
    panels = [Panel("interval of lam", ends), Panel("probability of a training mix to be real", {"mixes": means})]
    return point_curves([row["epoch"] for row in rows], panels, "epoch")


def _by_pair(by_pair: Mapping[str, Any]) -> Html:
    classes = range(len(by_pair["a"]))

    def cell(i: int, j: int) -> str:
        a, d = by_pair["a"][i][j], by_pair["d"][i][j]
        return "" if a is None else f"{a:.3f} to {a + d:.3f}"

    return table(["", *map(str, classes)], [[str(i), *(cell(i, j) for j in classes)] for i in classes])
