"""What every experiment takes and returns."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Scale = Literal["cpu", "paper"]
Verdict = Literal["agrees", "disagrees", "undecided", "no number to compare with"]


@dataclass(frozen=True)
class Place:
    """Where an experiment runs, and how large it is.

    Attributes:
        scale: "cpu" fits two cores; "paper" is the paper's own setting, through the same code.
        quick: at most 30 seconds, to see that everything runs; its numbers mean nothing.
        folder: where its figures go; it exists.
        runs: where trained runs lie, and are looked for before any is trained.
        data_root: where the data sets lie.
        jobs: runs at a time.
        say: tells a line of progress.
    """

    scale: Scale
    quick: bool
    folder: Path
    runs: Path
    data_root: str
    jobs: int
    say: Callable[[str], None]


@dataclass(frozen=True)
class Finding:
    """One line of the table: the paper's number next to ours.

    Attributes:
        what: the quantity, with its unit.
        paper: what the paper says, and where; "" if it gives no number.
        ours: what came out.
        n: repetitions (seeds) behind it.
        interval: 95 % interval of what the verdict rests on, as text; "" if there is none.
        verdict: whether ours supports the paper's claim.
    """

    what: str
    paper: str
    ours: str
    n: int
    interval: str
    verdict: Verdict


@dataclass(frozen=True)
class Outcome:
    """What an experiment returns.

    Attributes:
        findings: lines of the table.
        values: settings, and every number behind findings and figures; goes into results.json.
        figures: file names in the folder, PNG.
        notes: what readers of the table must know, a sentence each.
    """

    findings: list[Finding]
    values: dict[str, Any]
    figures: list[str]
    notes: list[str] = field(default_factory=list)
