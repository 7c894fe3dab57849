"""Trackers get losses, scores, sample grids and diagnoses."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import accelerate.tracking
import numpy as np
import pytest
from accelerate.utils import LoggerType

from mmgan.runs.folder import RunFolder
from mmgan.runs.tracking import track_picture

pytestmark = pytest.mark.slow(5)

FLAGS = ["--steps", "2", "--mix", "1", "--sample-every", "2", "--score-every", "2", "--diagnose-every", "1"]
FLAGS += ["--holdout", "0.02", "--max-images", "20"]


def test_tensorboard_gets_them_all(tmp_path: Path, train) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert train(tmp_path / "run", *FLAGS, "--tracker", "tensorboard") == 0
    found = EventAccumulator(str(tmp_path / "run/mmgan"))
    found.Reload()
    tags = found.Tags()
    assert {"loss_d", "scores/frechet_distance", "diagnosis/overfitting"} <= set(tags["scalars"])
    assert [event.step for event in found.Scalars("diagnosis/relative_deviation:1")] == [1, 2]
    (fid,) = [event.value for event in found.Scalars("scores/frechet_distance")]
    folder = RunFolder(tmp_path / "run")
    assert fid == pytest.approx(folder.read_scores()["last"]["scores"]["frechet_distance"], rel=1e-6)
    assert [event.step for event in found.Images("samples")] == [2]
    assert [event.step for event in found.Images("diagnosis")] == [1, 2]
    written = [row["diagnosis/overfitting"] for row in folder.read_metrics()]
    assert [event.value for event in found.Scalars("diagnosis/overfitting")] == pytest.approx(written, rel=1e-6)


class Run:
    """What `wandb.init` returns."""

    def __init__(self, project: str, dir: str) -> None:
        self.place, self.logged = Path(dir) / "wandb", list[tuple[int, dict[str, Any]]]()
        self.place.mkdir()

    def log(self, values: dict[str, Any], step: int) -> None:
        self.logged.append((step, values))

    def finish(self) -> None:
        (self.place / "finished").touch()


def test_wandb_writes_into_the_run_folder(tmp_path: Path, train, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in of the package, behind Accelerate's own tracker."""
    runs: list[Run] = []
    wandb: Any = ModuleType("wandb")
    wandb.Image = lambda pixels: np.asarray(pixels).shape

    def init(**arguments: Any) -> Run:
        runs.append(Run(**arguments))
        return runs[-1]

    wandb.init, wandb.config = init, SimpleNamespace(update=lambda *_, **__: None)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    trackers = accelerate.tracking._available_trackers
    monkeypatch.setattr(accelerate.tracking, "_available_trackers", [*trackers, LoggerType.WANDB])
    assert train(tmp_path / "run", *FLAGS, "--tracker", "wandb") == 0
    (run,) = runs
    assert run.place == tmp_path / "run/wandb"
    assert (run.place / "finished").exists()
    steps = [step for step, _ in run.logged]
    assert steps == sorted(steps)  # wandb drops what comes late
    names = {name for _, values in run.logged for name in values}
    assert {"loss_g", "scores/frechet_distance", "diagnosis/overfitting", "samples", "diagnosis"} <= names
    (grid,) = [values["samples"] for _, values in run.logged if "samples" in values]
    assert grid[0][2] == 3


@pytest.mark.parametrize("name", ["aim", "clearml", "comet_ml", "mlflow"])
def test_every_tracker_gets_pictures_by_its_own_call(name: str, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("L", (4, 3), 7).save(tmp_path / "grid.png")
    calls: list[Any] = []
    own = SimpleNamespace(log_image=lambda path, name, step: calls.append((name, step)))
    tracker = SimpleNamespace(
        name=name,
        tracker=own,
        log_images=lambda values, step: calls.append((*values, step)),
        log_artifact=lambda path, artifact_path: calls.append((artifact_path, 5)),
    )
    track_picture(SimpleNamespace(is_main_process=True, trackers=[tracker]), "samples", tmp_path / "grid.png", 5)  # type: ignore[arg-type]
    assert calls == [("samples", 5)]
