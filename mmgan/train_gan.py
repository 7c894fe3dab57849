"""Train a GAN whose discriminator is regularised by Manifold Mixup:

accelerate launch mmgan/train_gan.py --mix 1,2,pixel
accelerate launch mmgan/train_gan.py --config configs/gan/cifar10.yaml --mix 1,2,pixel
"""

import inspect
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mmgan.config.gan import GanConfig
from mmgan.config.parse import parse_config, parser_of
from mmgan.config.presets import fitting_preset
from mmgan.process.output import steady_output
from mmgan.process.program import program
from mmgan.process.stopping import StopRequests

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

    from mmgan.python.train import TrainedGan

PROG = "mmgan train-gan"
DESCRIPTION = (
    "Train a GAN whose discriminator is regularised by Manifold Mixup (arXiv 1806.05236, Appendix E). Without --config:"
    f" the preset that fits --data; bare, {GanConfig.DEFAULT}, scikit-learn's digits in two minutes on two cores. The"
    " paper's"
    f" setting is --config {GanConfig.PAPER}. A setting that the file leaves out has the default below."
    " With --resume and --out alone, the run's own settings are read."
)


def parser() -> "ArgumentParser":
    """The command's parser."""
    return parser_of(GanConfig, PROG, DESCRIPTION)


@program
def main(argv: Sequence[str]) -> None:
    """Run the trainer."""
    config, source = parse_config(
        GanConfig, argv, prog=PROG, description=DESCRIPTION, default_config=fitting_preset(argv)
    )
    config.own.refuse_settings_of_ours(argv)
    with StopRequests(config.run.stop_deadline) as stop, steady_output(stop.lose_reader):
        from mmgan.gan.run import run_gan  # here, so that --help and bad flags do not wait for torch

        run_gan(config, source, stop)


class _Callable(ModuleType):
    """This module is `mmgan.train_gan`, a function to Python programs: both names are fixed, by `accelerate launch
    mmgan/train_gan.py` and by `mmgan.train_gan(...)`."""

    def __call__(self, **settings: Any) -> "TrainedGan":
        """See `mmgan.python.train.train_gan`."""
        from mmgan.python.train import train_gan

        return train_gan(**settings)

    @property
    def __signature__(self) -> inspect.Signature:
        from mmgan.python.train import train_gan

        return inspect.signature(train_gan)


if __name__ == "__main__":
    sys.exit(main())
sys.modules[__name__].__class__ = _Callable
