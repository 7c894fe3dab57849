"""Which runs the study consists of, given the rows there are: pilot, search, main."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mmgan.analysis.power import pairs_needed
from mmgan.errors import UserError
from mmgan.experiments.study.arms import ARMS, MIX, NONE, candidates
from mmgan.experiments.study.protocol import Protocol
from mmgan.experiments.study.rows import Row, kept_settings
from mmgan.sweeps.definition import Settings

EFFECT = 0.05
"""The share of the baseline's FD that the study wants to show four times in five."""


@dataclass(frozen=True)
class Planned:
    """A run of the study."""

    phase: str
    arm: str
    images: int
    seed: int
    settings: Settings  # that override the configuration file

    @property
    def label(self) -> str:
        """Its name among the runs of its phase, for folders and messages."""
        strength = ", ".join(f"{name} {self.settings[name]}" for name in STRENGTH if name in self.settings)
        return f"{self.images} images, {self.arm}, {strength}"


STRENGTH = ("mix_weight", "r1", "diffaugment", "lecam", "gradient_penalty", "lr")
"""Settings that the search chooses."""


@dataclass(frozen=True)
class Plan:
    """The study's runs.

    Raises:
        UserError: if a row has other settings than the protocol gives its run.
    """

    protocol: Protocol
    rows: Sequence[Row]

    def pilot(self) -> list[Planned]:
        """The baseline and mixing by seed, with the first try's settings: they tell deviation and time."""
        return [
            self._planned("pilot", name, images, seed, self._tries(name)[0])
            for seed in self.protocol.pilot_seeds
            for images in self.protocol.sizes
            for name in (NONE, MIX)
        ]

    def search(self, *, first: bool) -> list[Planned]:
        """Every try of the arms that come first, or of the others."""
        return [
            self._planned("search", name, images, self.protocol.search_seed, settings)
            for name in self._arms(first)
            for images in self.protocol.sizes
            for settings in self._tries(name)
        ]

    def main(self, *, first: bool) -> list[Planned]:
        """Every arm with its chosen settings, seed by seed; empty until pilot and search of these arms are done."""
        seeds, arms = self.main_seeds(), self._arms(first)
        chosen = {(name, images): self.chosen(name, images) for name in arms for images in self.protocol.sizes}
        if seeds is None or None in chosen.values():
            return []
        return [
            self._planned("main", name, images, seed, settings)
            for seed in seeds
            for (name, images), settings in chosen.items()
            if settings is not None
        ]

    def stages(self) -> Iterator[list[Planned]]:
        """The runs in their order; a later stage is asked for when the earlier ones have their rows."""
        yield self.pilot()
        for first in (True, False):
            yield self.search(first=first)
            yield self.main(first=first)

    def main_seeds(self) -> Sequence[int] | None:
        """As many seeds as the pilot asks for, within the protocol's bounds; None before the pilot is done."""
        needed = [self.needed(images) for images in self.protocol.sizes]
        if any(n is None for n in needed):
            return None
        count = max(self.protocol.least, *(n for n in needed if n is not None))
        return self.protocol.main_seeds[:count]

    def needed(self, images: int) -> int | None:
        """Paired seeds that show `EFFECT` four times in five, by the pilot's deviation; None before it is done."""
        found = self.pilot_deviation(images)
        if found is None:
            return None
        mean, sd = found
        return 2 if sd == 0 else pairs_needed(EFFECT * mean, sd)

    def pilot_deviation(self, images: int) -> tuple[float, float] | None:
        """The baseline's mean test FD, and the deviation of the paired difference that mixing makes."""
        pairs = [
            [row for row in self.rows if (row.phase, row.arm, row.images, row.seed) == ("pilot", name, images, seed)]
            for seed in self.protocol.pilot_seeds
            for name in (NONE, MIX)
        ]
        if not all(pairs):
            return None
        fds = [self.test_fd(rows[0]) for rows in pairs]
        return statistics.fmean(fds[::2]), statistics.stdev(b - a for a, b in zip(fds[::2], fds[1::2], strict=True))

    def chosen(self, name: str, images: int) -> Settings | None:
        """The try with the lowest FD on validation images; None before all tries are done."""
        tries = [self._planned("search", name, images, self.protocol.search_seed, of) for of in self._tries(name)]
        rows = [self.row_of(one) for one in tries]
        if any(row is None for row in rows):
            return None
        best = min((row.validation_fd, k) for k, row in enumerate(rows) if row is not None)
        return self._tries(name)[best[1]]

    def row_of(self, planned: Planned) -> Row | None:
        """The row of a run; None if it is still to be run."""
        key = (planned.phase, planned.arm, planned.images, planned.seed)
        rows = [row for row in self.rows if (row.phase, row.arm, row.images, row.seed) == key]
        wanted = kept_settings(planned.settings)
        found = [row for row in rows if row.settings == wanted]
        if rows and not found and planned.phase != "search":
            raise UserError(
                f"the finished runs have {planned.label}, seed {planned.seed} ({planned.phase}) with other settings:"
                " go on at the commit that they were made with, or name another folder with --out"
            )
        return found[0] if found else None

    def test_fd(self, row: Row) -> float:
        """The FD on test images that arms are compared by."""
        fd: float = row.test[self.protocol.test[0].extractor]["fd"]
        return fd

    def _arms(self, first: bool) -> list[str]:
        return [name for name in self.protocol.arms if ARMS[name].first == first]

    def _tries(self, name: str) -> list[Settings]:
        return candidates(ARMS[name], self.protocol.rates)[: self.protocol.tries]

    def _planned(self, phase: str, arm: str, images: int, seed: int, settings: Settings) -> Planned:
        return Planned(phase, arm, images, seed, {**self.protocol.settings, **settings, "max_images": images})
