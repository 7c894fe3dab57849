"""Samples: next to real images, with their nearest training images, interpolated, and over the training."""

from mmgan.report.content import Block, Note, Panel, Panels, Picture, Section
from mmgan.report.grids import description_of, small_grid, whole_grid
from mmgan.report.record import Record
from mmgan.report.shown import INTERPOLATION, NEIGHBOURS, REAL
from mmgan.report.spacing import evenly_spaced

STRIP = 6
"""The most earlier grids to show."""

TITLES = {
    REAL: "Training images",
    NEIGHBOURS: "Samples and their nearest training images",
    INTERPOLATION: "From latent to latent",
}


def samples(record: Record) -> Section:
    """The newest grid next to training images, the pictures of `shown`, and earlier grids."""
    blocks: list[Block] = [
        Panels([_newest(record), *(_shown(record, kind) for kind in TITLES)], "pictures"),
        *_strip(record),
    ]
    return Section("Samples", blocks)


def _newest(record: Record) -> Panel:
    if not record.grids:
        return Panel("Samples", "No sample grid has been written yet.")
    step, path = list(record.grids.items())[-1]
    caption = f"Generator step {step:,}; every grid is made from the same latents. The file: samples/{path.name}"
    return Panel("Samples", Picture(*whole_grid(path.read_bytes(), path), f"samples at step {step}"), caption)


def _shown(record: Record, kind: str) -> Panel:
    shown, title = record.shown, TITLES[kind]
    if kind not in shown.pictures:
        why = shown.why or "Made at the end of training, which this run has not reached."
        return Panel(title, why)
    data = shown.pictures[kind]
    where = f"the picture '{kind}' of step {shown.step}"
    caption = description_of(data, where)
    if kind != REAL and shown.step is not None:
        caption = f"Generator step {shown.step:,}. {caption}"
    return Panel(title, Picture(*whole_grid(data, where), title), caption)


def _strip(record: Record) -> list[Block]:
    earlier = list(record.grids)[:-1]
    if not earlier:
        return []
    panels = [
        Panel(f"step {step:,}", Picture(*small_grid(record.grids[step]), f"samples at step {step}"))
        for step in evenly_spaced(earlier, STRIP)
    ]
    return [Note("Earlier in training:"), Panels(panels, "strip")]
