"""The file of finished runs, a line each: a study goes on from it on any machine, without the run folders."""

import fcntl
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmgan.errors import UserError
from mmgan.storage import storing

PLACES = ("data", "data_root", "extractor_weights", "out")
"""Settings that name places of a machine: they are not kept."""


@dataclass(frozen=True)
class Row:
    """What is kept of a finished run.

    Attributes:
        phase: "pilot", "search" or "main".
        arm, images, seed, settings: which run it is; the settings are those that override the configuration file.
        commit, machine, versions: of the code and the machine; see `ExperimentResult`.
        curve: by step, from validation images: {"step", "fd", "kid", "recall", "r"}; None where there is no number.
        best_step: the step with the lowest validation FD; its weights were tested.
        test: by extractor: {"digest", "samples", "real", "fd", "kid", "precision", "recall", "class_score"}.
        cpu_seconds: of the processor for training and judging, start included; of a run that was stopped and resumed,
            since its last start.
    """

    phase: str
    arm: str
    images: int
    seed: int
    settings: Mapping[str, Any]
    commit: str | None
    machine: str
    versions: Mapping[str, str]
    curve: Sequence[Mapping[str, Any]]
    best_step: int
    test: Mapping[str, Mapping[str, Any]]
    cpu_seconds: float

    @property
    def validation_fd(self) -> float:
        """The lowest FD on validation images, by which settings are chosen."""
        lowest: float = min(point["fd"] for point in self.curve if point["fd"] is not None)
        return lowest

    @property
    def r(self) -> float | None:
        """The diagnosis's r at the last step."""
        r: float | None = self.curve[-1]["r"]
        return r


def kept_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run as a row keeps them."""
    return {name: value for name, value in settings.items() if name not in PLACES}


def read_rows(path: Path) -> list[Row]:
    """The rows of a file, which may not exist yet.

    Raises:
        UserError: naming the first line that is not a row.
    """
    if not path.is_file():
        return []
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = Row(**json.loads(line))
            assert row.curve
            row.validation_fd  # noqa: B018  # a row without it cannot be used
            rows.append(row)
        except (ValueError, TypeError, KeyError, AssertionError, RecursionError) as error:
            why = " ".join(str(error).split()) or "it has no scores"
            raise UserError(f"{path}, line {number}, is not a finished run ({why}): restore or remove it") from None
    return rows


def append_row(path: Path, row: Row) -> None:
    """Add a line; several processes may.

    Raises:
        StorageFailed: if it cannot be written.
    """
    with storing(path), path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(asdict(row), allow_nan=False) + "\n")
