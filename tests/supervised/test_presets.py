"""Every preset is a configuration whose network can be built."""

from pathlib import Path

import pytest
import torch

from mmgan.config.classifier import ClassifierConfig
from mmgan.config.parse import parse_config
from mmgan.mixing import Mixed
from mmgan.supervised.networks import build_network

pytestmark = pytest.mark.slow(2)

FOLDER = Path(__file__).parents[2] / "configs" / "classifier"
PRESETS = sorted(FOLDER.glob("*.yaml"))
SHAPES = {  # classes, channels, image size
    "cifar10": (10, 3, 32),
    "cifar100": (100, 3, 32),
    "svhn": (10, 3, 32),
    "tiny-imagenet": (200, 3, 64),
    "digits": (10, 1, 16),
    "mnist": (10, 1, 28),
    "fashion-mnist": (10, 1, 28),
    "folder:data/cifar10-jpeg": (10, 3, 32),
}


def read(path: Path, *flags: str) -> ClassifierConfig:
    return parse_config(
        ClassifierConfig, ["--config", str(path), *flags], prog="t", description="", default_config="none"
    )[0]


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_preset_builds_its_network(path: Path) -> None:
    config = read(path, "--mix", "1,2,pixel")
    assert read(path).mix.mix == "none"
    with torch.device("meta"):
        classes, channels, size = SHAPES[config.data.data]
        network = build_network(config.network, classes=classes, channels=channels, image_size=size, seed=0)
    assert len(Mixed(network, config.mix.mix.items).layers) == 3
    if config.training.lr_decay == "step":
        assert 0 < min(config.training.drops) <= max(config.training.drops) < config.training.epochs


def test_schedules_of_the_paper() -> None:
    """Appendix C."""
    for data in ("cifar10", "cifar100", "svhn"):
        for net, epochs, drops in (
            ("preactresnet18", 1200, (400, 800)),
            ("preactresnet34", 1200, (400, 800)),
            ("wrn-28-10", 400, (200, 300)),
        ):
            training = read(FOLDER / f"{data}-{net}.yaml").training
            assert (training.epochs, training.drops) == (epochs, drops)
            assert (training.lr, training.momentum, training.weight_decay) == (0.1, 0.9, 1e-4)
            assert (training.loss, training.nesterov) == ("ce", False)
    tiny = read(FOLDER / "tiny-imagenet-preactresnet18.yaml").training
    assert (tiny.epochs, tiny.drops) == (2000, (1000, 1500))
