"""What each arm changes, over paired seeds, with Holm's correction next to the plain intervals."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmgan.analysis.seeds import PairedDifference, paired_difference
from mmgan.analysis.several import holm, paired_p_value
from mmgan.experiments.framework.outcome import Finding
from mmgan.experiments.framework.verdicts import Direction, compare_arms, mean_sd
from mmgan.experiments.study.arms import ALSO, ARMS, NONE
from mmgan.experiments.study.rows import Row

LEVEL = 0.05


@dataclass(frozen=True)
class Measure:
    """An outcome of the study.

    Attributes:
        name: with its unit or extractor.
        better: which side is better.
        digits: after the point.
        of: its value in a row; None where there is none.
    """

    name: str
    better: Direction
    digits: int
    of: Callable[[Row], float | None]


def measures(extractors: Sequence[str]) -> list[Measure]:
    """The study's outcomes; the first one is FD of the first extractor, on which the conclusion rests."""

    def score(extractor: str, key: str) -> Callable[[Row], float | None]:
        return lambda row: row.test[extractor][key]

    found = [Measure(f"FD ({extractor})", "lower", 2, score(extractor, "fd")) for extractor in extractors]
    return [
        *found,
        Measure(f"KID ({extractors[0]})", "lower", 4, score(extractors[0], "kid")),
        Measure("recall", "higher", 3, score(extractors[0], "recall")),
        Measure("overfitting r of D", "lower", 3, lambda row: row.r),
    ]


@dataclass(frozen=True)
class Effect:
    """One arm against another at one number of images.

    Attributes:
        measure, arm, against, images: what is compared.
        finding: the line of the table.
        difference: over the paired seeds.
        p: of the paired t test, corrected by Holm over the family.
    """

    measure: Measure
    arm: str
    against: str
    images: int
    finding: Finding
    difference: PairedDifference
    p: float

    @property
    def holm_verdict(self) -> str:
        """Whether the arm is better or worse by the corrected test."""
        if self.p > LEVEL:
            return "undecided"
        return "better" if (self.difference.mean < 0) == (self.measure.better == "lower") else "worse"


def effects(
    rows: Sequence[Row], arms: Sequence[str], sizes: Sequence[int], outcomes: Sequence[Measure]
) -> list[Effect]:
    """Every comparison among the arms, outcome by outcome.

    A family for Holm's correction is one outcome over all comparisons and sizes: of the arms that come first, and of
    all others.

    Args:
        rows: of the main runs.
        arms: names of the arms that are complete.
        sizes: numbers of images.
        outcomes: see `measures`.
    """
    pairs = [(name, ARMS[name].against) for name in arms if name != ARMS[name].against] + list(ALSO)
    pairs = [pair for pair in pairs if set(pair) <= set(arms)]
    found: list[Effect] = []
    for measure in outcomes:
        for first in (True, False):
            family = [
                _effect(rows, measure, arm, against, images)
                for arm, against in pairs
                if (ARMS[arm].first and ARMS[against].first) == first
                for images in sizes
            ]
            for effect, p in zip(family, holm([effect.p for effect in family]), strict=True):
                corrected = replace(effect, p=p)
                text = f"{effect.finding.interval}; Holm p {p:.3f}, {corrected.holm_verdict}"
                found.append(replace(corrected, finding=replace(effect.finding, interval=text)))
    return found


def _effect(rows: Sequence[Row], measure: Measure, arm: str, against: str, images: int) -> Effect:
    ours, theirs = (values_of(rows, measure, name, images) for name in (arm, against))
    what = f"{images:,} images: {measure.name}, {arm} against {against}"
    claim = ARMS[arm].paper if against == NONE and measure.name.startswith("FD") else ""
    finding = compare_arms(what, claim, ours, theirs, measure.better, measure.digits)
    if not claim:
        finding = replace(finding, verdict="no number to compare with")
    return Effect(measure, arm, against, images, finding, paired_difference(ours, theirs), paired_p_value(ours, theirs))


def values_of(rows: Sequence[Row], measure: Measure, arm: str, images: int) -> list[float]:
    """The measure in each of an arm's runs, by seed."""
    values = [
        measure.of(row) for row in sorted(rows, key=lambda row: row.seed) if (row.arm, row.images) == (arm, images)
    ]
    return [value for value in values if value is not None]


HEADER = ("images", "arm", "D step", "chosen", "n")


def summary(
    rows: Sequence[Row], found: Sequence[Effect], chosen: Mapping[tuple[str, int], str], outcomes: Sequence[Measure]
) -> dict[str, Any]:
    """The study's table: an arm a line, with every outcome and its difference from what it is compared with."""
    lines = []
    for (arm, images), text in chosen.items():
        cells = [f"{images:,}", arm, f"{ARMS[arm].step_cost:.2f}", text]
        cells.append(str(len(values_of(rows, outcomes[0], arm, images))))
        for measure in outcomes:
            own = mean_sd(values_of(rows, measure, arm, images), measure.digits)
            cells.append("; ".join([own, *(_short(e) for e in found if _is(e, measure, arm, images))]))
        lines.append(cells)
    return {"header": [*HEADER, *(measure.name for measure in outcomes)], "rows": lines}


def _is(effect: Effect, measure: Measure, arm: str, images: int) -> bool:
    same = (effect.measure.name, effect.arm, effect.images) == (measure.name, arm, images)
    return same and effect.against == ARMS[arm].against


def _short(effect: Effect) -> str:
    d, digits = effect.difference, effect.measure.digits
    return f"{d.mean:+.{digits}f} [{d.low:+.{digits}f}, {d.high:+.{digits}f}], Holm: {effect.holm_verdict}"


def median_cpu_minutes(rows: Sequence[Row]) -> float:
    """Of a run, with its judging."""
    return statistics.median(row.cpu_seconds for row in rows) / 60
