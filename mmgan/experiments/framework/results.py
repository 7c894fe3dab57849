"""results.json: an experiment's results, and their origin."""

import json
import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmgan.errors import UserError
from mmgan.experiments.framework.machine import commit, machine, versions
from mmgan.experiments.framework.outcome import Finding, Outcome, Place
from mmgan.storage import write_atomically

FILE = "results.json"


@dataclass(frozen=True)
class ExperimentResult:
    """An outcome with its origin; for findings, values, figures and notes see `Outcome`."""

    name: str  # of the experiment
    scale: str
    quick: bool
    command: str  # as it was typed
    commit: str | None  # of the code, with "+" if files differed from it; None outside a checkout
    machine: str
    versions: dict[str, str]  # package -> version
    wall_seconds: float
    cpu_seconds: float  # including the processes that the command started
    findings: list[Finding]
    values: dict[str, Any]
    figures: list[str]
    notes: list[str] = field(default_factory=list)


def run_experiment(
    name: str, run: Callable[[Place], Outcome], place: Place, command: Sequence[str]
) -> ExperimentResult:
    """Run an experiment and write results.json next to its figures."""
    wall, cpu = time.monotonic(), _cpu_seconds()
    outcome = run(place)
    result = ExperimentResult(
        name=name,
        scale=place.scale,
        quick=place.quick,
        command=shlex.join(command),
        commit=commit(),
        machine=machine(),
        versions=versions(),
        wall_seconds=round(time.monotonic() - wall, 1),
        cpu_seconds=round(_cpu_seconds() - cpu, 1),
        **{name: getattr(outcome, name) for name in ("findings", "values", "figures", "notes")},
    )
    write_atomically(place.folder / FILE, json.dumps(asdict(result), indent=1, allow_nan=False) + "\n")
    return result


def read_result(path: Path) -> ExperimentResult:
    """The result in a file.

    Raises:
        UserError: if it is not one.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return ExperimentResult(**values | {"findings": [Finding(**finding) for finding in values["findings"]]})
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"{path} is not an experiment's result: {' '.join(str(error).split())}") from None


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
