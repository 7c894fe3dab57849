"""Settings that both trainers have."""

import os
from dataclasses import dataclass
from typing import Literal

from mmgan.config.fields import SettingsGroup, setting


@dataclass(frozen=True)
class DataSettings(SettingsGroup):
    """Data"""

    data: str = setting(
        "digits", "digits, mnist, fashion-mnist, cifar10, cifar100, svhn, stl10, tiny-imagenet or folder:PATH"
    )
    data_root: str = setting(
        os.environ.get("MMGAN_DATA") or "data",
        "folder that holds the data sets, in torchvision's layout ($MMGAN_DATA where set)",
    )
    image_size: int | None = setting(None, "height and width in pixels; unset: the data's own", least=8)
    channels: int | None = setting(None, "1 (grey) or 3 (RGB); unset: the data's own")
    download: bool = setting(False, "fetch the data set when it is not in the data root")
    skip_bad_images: bool = setting(False, "folder: leave out files that cannot be read as images, and count them")
    flip: bool = setting(False, "mirror each image left to right with probability 1/2")


@dataclass(frozen=True)
class RunSettings(SettingsGroup):
    """Run"""

    out: str | None = setting(None, "run folder; unset: runs/<data>-<layers>-seed<seed>")
    seed: int = setting(0, "all random draws are a function of it", least=0)
    resume: bool = setting(False, "resume from the run folder's newest checkpoint")
    allow_changed: bool = setting(
        False, "with --resume: accept other settings, data, processes or versions, and say so in scores.json"
    )
    overwrite: bool = setting(False, "replace the run that the run folder holds")
    checkpoint_every: int = setting(1000, "steps (classifier: epochs) between checkpoints; 0: only the last", least=0)
    keep_checkpoints: int = setting(2, "how many checkpoints are kept, not counting the best one", least=1)
    log_every: int = setting(
        20, "steps between updates of the progress bar, metrics.jsonl and the tracker; no step is left out", least=1
    )
    tracker: Literal["none", "tensorboard", "wandb", "comet_ml", "aim", "mlflow", "clearml"] = setting(
        "none", "an Accelerate tracker; its package must be installed"
    )
    stop_deadline: float = setting(
        25.0,
        "seconds to save and end after SIGTERM, SIGINT, SIGHUP or SIGUSR1; launchers kill a run after 30",
        above=0,
        below=1e6,
    )
    skip_non_finite: int = setting(
        0, "steps that may be skipped because a loss or gradient is not finite; 0: the first one ends the run", least=0
    )
    dry_run: bool = setting(False, "check everything, print the configuration and stop before any work")


@dataclass(frozen=True)
class DeviceSettings(SettingsGroup):
    """Device"""

    mixed_precision: Literal["no", "bf16", "fp16"] | None = setting(
        None, "unset: what `accelerate launch --mixed_precision` says"
    )
    channels_last: bool = setting(True, "keep images in NHWC order, the faster one on tensor cores and AVX-512")
    compile: bool = setting(False, "compile the networks with torch.compile, one graph a mixing layer")
    tf32: bool = setting(
        False, "on a GPU: train in TF32 where the training would be in float32; scores are in float32 in any case"
    )
