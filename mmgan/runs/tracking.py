"""A run's tracker: numbers and pictures by step, through Accelerate."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from mmgan.data.decode import load_image


def start_tracker(accelerator: Accelerator, values: Mapping[str, Any], folder: Path) -> None:
    """Start the tracker that the Accelerator was made with.

    Args:
        accelerator: the run's.
        values: the run's settings.
        folder: the run's; TensorBoard, Aim and wandb, also offline, write into it.
    """
    accelerator.init_trackers("mmgan", config=dict(values), init_kwargs={"wandb": {"dir": str(folder)}})


def track_values(accelerator: Accelerator, values: Mapping[str, Any], step: int) -> None:
    """Send the finite numbers among the values to the tracker."""
    finite = {k: v for k, v in values.items() if isinstance(v, int | float) and math.isfinite(v)}
    accelerator.log(finite, step=step)


def track_picture(accelerator: Accelerator, name: str, path: Path, step: int) -> None:
    """Send a PNG to the tracker. Every kind of tracker has a call of its own for that."""
    if not accelerator.is_main_process:
        return
    for tracker in accelerator.trackers:
        if tracker.name == "mlflow":
            tracker.log_artifact(str(path), artifact_path=name)
        elif tracker.name == "comet_ml":
            tracker.tracker.log_image(str(path), name=name, step=step)
        else:
            _log_image(tracker, name, path, step)


def _log_image(tracker: Any, name: str, path: Path, step: int) -> None:
    import numpy as np

    image = load_image(path.read_bytes(), formats=("PNG",)).convert("RGB")
    pixels = np.asarray(image)  # (h, w, 3)
    if tracker.name == "tensorboard":
        tracker.log_images({name: pixels[None]}, step=step, dataformats="NHWC")
    else:
        tracker.log_images({name: image if tracker.name == "aim" else [pixels]}, step=step)
