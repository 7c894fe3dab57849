"""The input and output of every experiment."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Scale = Literal["cpu", "paper"]
Verdict = Literal["agrees", "disagrees", "undecided", "no number to compare with"]


@dataclass(frozen=True)
class Place:
    """Where an experiment runs, and its size."""

    scale: Scale  # "cpu" fits two cores; "paper" is the paper's own setting, with the same code
    quick: bool  # at most 30 seconds, to check that everything runs; the numbers mean nothing
    folder: Path  # for its figures; it exists
    runs: Path  # of trained runs; runs found there are not trained again
    data_root: str
    jobs: int  # runs at a time
    say: Callable[[str], None]  # prints a line of progress
    minutes: float | None = None  # begin no further run after these, and report what is there; None: finish all
    extractor_weights: str | None = None  # file of the weights of the experiment's extractor; None: its usual place


@dataclass(frozen=True)
class Finding:
    """One line of the table: the paper's number next to ours."""

    what: str  # the quantity, with its unit
    paper: str  # the paper's number or claim, and its place; "" if it gives none
    ours: str  # our number
    n: int  # repetitions (seeds) behind it
    interval: str  # 95 % interval behind the verdict, as text; "" if there is none
    verdict: Verdict  # whether our number supports the paper's claim


@dataclass(frozen=True)
class Outcome:
    """What an experiment returns."""

    findings: list[Finding]  # lines of the table
    values: dict[str, Any]  # settings, and every number behind findings and figures; goes into results.json
    figures: list[str]  # file names in the folder, PNG
    notes: list[str] = field(default_factory=list)  # what readers of the table must know, a sentence each
