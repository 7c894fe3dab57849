"""report.html: a run on one self-contained page."""

from pathlib import Path

from mmgan.report.content import Page
from mmgan.report.panels.about import commands, facts_of, settings, title_of
from mmgan.report.panels.adamix import intervals
from mmgan.report.panels.diagnosis import discriminator
from mmgan.report.panels.evaluation import evaluation
from mmgan.report.panels.losses import losses
from mmgan.report.panels.mixing import mixing
from mmgan.report.panels.samples import samples
from mmgan.report.panels.scores import provenance, scores
from mmgan.report.panels.speed import speed
from mmgan.report.record import Record, read_record
from mmgan.report.render import render
from mmgan.report.shown import Shown
from mmgan.runs.folder import RunFolder
from mmgan.storage import write_atomically


def write_report(folder: RunFolder, shown: Shown | None = None) -> Path:
    """Write the run's report.html, whole or not at all, from the run folder.

    The page is self-contained: it embeds its pictures, has no script and loads nothing from the network. It says what
    is still missing (scores, samples).

    Args:
        folder: the run's.
        shown: pictures that the generator makes; None: those that the end of training left in the folder.

    Returns:
        Its path.

    Raises:
        UserError: if the folder is not a run's, or a file in it is damaged.
    """
    write_atomically(folder.report_file, render(page_of(read_record(folder, shown))))
    return folder.report_file


def page_of(record: Record) -> Page:
    """The content of a run's page."""
    if record.is_classifier:
        sections = [scores(record), losses(record), *intervals(record), evaluation(record)]
    else:
        sections = [samples(record), scores(record), losses(record), discriminator(record)]
    sections += [mixing(record), speed(record), commands(record), *provenance(record), settings(record)]
    return Page(title_of(record), facts_of(record), sections)
