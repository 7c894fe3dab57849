"""The preset whose settings a GAN run without --config has: the one that fits its data."""

from collections.abc import Sequence
from itertools import pairwise

from mmgan.config.gan import GanConfig

GIVEN = "given"
"""The data of a run whose images a Python program hands over."""

FOLDER = "configs/gan/folder.yaml"
"""For images of any kind and size."""

_FITTING = {
    "digits": GanConfig.DEFAULT,
    "mnist": "configs/gan/fashion-mnist.yaml",
    "fashion-mnist": "configs/gan/fashion-mnist.yaml",
    "cifar10": GanConfig.PAPER,
    "cifar100": GanConfig.PAPER,
    "svhn": GanConfig.PAPER,
    "stl10": "configs/gan/stl10.yaml",
    "tiny-imagenet": FOLDER,
}


def preset_of(data: str) -> str:
    """The packaged file of settings for this data set."""
    return FOLDER if data.startswith("folder:") or data == GIVEN else _FITTING.get(data, GanConfig.DEFAULT)


def fitting_preset(argv: Sequence[str]) -> str:
    """The packaged file of settings for the data that a command line names with --data."""
    words = [part for word in argv for part in (word.split("=", 1) if word.startswith("--data=") else [word])]
    named = [following for word, following in pairwise(words) if word == "--data"]
    return preset_of(named[-1]) if named else GanConfig.DEFAULT


def preset_line(data: str) -> str:
    """What a run without --config says of its settings."""
    preset = preset_of(data)
    if preset == GanConfig.DEFAULT:
        return f"no --config: the embedded default, {preset}; the paper's setting is --config {GanConfig.PAPER}"
    own = preset == FOLDER or data == preset.split("/")[-1].removesuffix(".yaml")
    return f"no --config: the settings of {preset}" + ("" if own else f", which were not chosen for {data}")
