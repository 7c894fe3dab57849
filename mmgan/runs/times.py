"""When a run noted its steps: times.jsonl, a file apart, so that metrics.jsonl is the same in every repetition."""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mmgan.runs.structure import fault_in, number, read_json, whole
from mmgan.storage import storing

LONGEST = 1e10
"""Seconds of one process: three centuries."""


@dataclass(frozen=True)
class Time:
    """When a step had been done.

    Attributes:
        step: its number.
        seconds: since this process began to train, 0 in its first line; the process may have resumed the run.
    """

    step: int
    seconds: float


@dataclass
class Clock:
    """Notes times in times.jsonl. Lines are only ever added: time that was spent stays spent, resumed or not.

    Attributes:
        path: of the file.
    """

    path: Path
    _since: float = field(default_factory=time.monotonic)

    def note(self, step: int) -> None:
        """Add a line for a step.

        Raises:
            StorageFailed: if it cannot be written.
        """
        self._write(Time(step, round(time.monotonic() - self._since, 3)))

    def start(self, step: int) -> None:
        """Add this process's first line.

        Raises:
            StorageFailed: if it cannot be written.
        """
        self._since = time.monotonic()
        self._write(Time(step, 0.0))

    def _write(self, now: Time) -> None:
        with storing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(now)) + "\n")


def read_times(path: Path) -> list[Time]:
    """The lines of times.jsonl, oldest first; none if there is no such file. Torn and damaged ones are left out, since
    nothing but a figure depends on them."""
    try:
        lines = path.read_bytes().splitlines() if path.is_file() else []
    except OSError:
        return []
    return [time for line in lines if (time := _time(line)) is not None]


def _time(line: bytes) -> Time | None:
    try:
        values = read_json(line)
    except ValueError:
        return None
    if fault_in(values, {"step": whole, "seconds": number}) is not None or not 0 <= values["seconds"] < LONGEST:
        return None
    return Time(values["step"], float(values["seconds"]))
