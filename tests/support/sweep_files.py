"""Sweeps of tiny classifiers, and their files."""

from pathlib import Path
from typing import Any

import yaml

TINY: dict[str, Any] = {
    **{"arch": "mlp", "depth": None, "widen_factor": None, "widths": "16,12", "image_size": 8},
    **{"epochs": 2, "batch_size": 200, "validation": 300, "checkpoint_every": 1, "log_every": 3},
}
"""Settings of a run on digits whose steps take milliseconds."""


def write_sweep(folder: Path, **values: Any) -> Path:
    """folder/sweep.yaml: a sweep of tiny classifiers into folder/runs, with these keys over it; None leaves one out."""
    known = {"trainer": "classifier", "settings": TINY, "seeds": 1, "out": str(folder / "runs"), **values}
    file = folder / "sweep.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in known.items() if value is not None}, sort_keys=False))
    return file
