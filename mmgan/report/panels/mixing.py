"""Where rows were mixed, and by how much."""

from collections import Counter

import numpy as np

from mmgan.report.chart import Bars, Chart, Line, Row, Rows
from mmgan.report.content import Note, Panel, Panels, Section
from mmgan.report.lams import PLANS, drawn_lams, expected_shares
from mmgan.report.record import Record

BINS = 20


def mixing(record: Record) -> Section:
    """How often rows were mixed at each layer, and the mixing coefficients."""
    if not record.layers:
        return Section("Mixing", [Note("This run mixes nothing: it is a baseline (--mix none).")])
    return Section("Mixing", [Panels([_layers(record), _lams(record)])])


def _layers(record: Record) -> Panel:
    counts = Counter(str(layer) for row in record.metrics for layer in row.get("layers", []))
    title, mixed = "Layers drawn", counts.total() - counts["none"]
    if not mixed:
        return Panel(title, "No rows have been mixed yet.")
    unit = "plans" if record.is_classifier else "discriminator steps"
    rows = [
        Row(_named(name), bar=100 * counts[name] / mixed, text=f"{counts[name]:,}, {100 * counts[name] / mixed:.1f} %")
        for name in record.layers
    ]
    expected = 100 / len(record.layers)
    caption = (
        f"Of {mixed:,} {unit} that mixed rows. All layers are equally likely: {expected:.1f} % is expected of each"
    )
    caption += " (dashed)."
    if counts["none"]:
        caption += f" {counts['none']:,} {unit} mixed nothing (--mix-start, --mix-every)."
    return Panel(title, Rows(f"share of {unit} (%)", rows, reference=expected, x_range=(0, _round_up(rows))), caption)


def _round_up(rows: list[Row]) -> float:
    return min(100.0, 10.0 * (1 + max(row.bar or 0.0 for row in rows) // 10))


def _named(layer: str) -> str:
    return layer if layer == "pixel" else f"layer {layer}"


def _lams(record: Record) -> Panel:
    title = "Mixing coefficients lam"
    if record.config.get("lam") == "adamix":
        return Panel(title, "lam is learned in this run: its intervals are shown under 'Learned intervals'.")
    try:
        lam = drawn_lams(record)
    except ValueError as error:
        return Panel(title, f"They cannot be drawn again: {error}.")
    if not len(lam):
        return Panel(title, "No rows have been mixed yet.")
    shares, edges = np.histogram(lam, BINS, (0.0, 1.0))
    expected = expected_shares(record, edges)
    middles = ((edges[1:] + edges[:-1]) / 2).tolist()
    chart = Chart(
        "lam, the weight of a pair's left row",
        "share of mixed rows (%)",
        [Line("the law", middles, (100 * expected).tolist(), look="dots")],
        Bars("drawn", edges.tolist(), (100 * shares / len(lam)).tolist()),
        x_range=(0.0, 1.0),
    )
    caption = (
        f"{len(lam):,} values, drawn again from the seed as the run's first process drew them, in at most {PLANS} of"
        " its steps."
    )
    return Panel(title, chart, caption)
