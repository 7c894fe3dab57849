"""Train a classifier with Manifold Mixup, or with another regulariser that the paper compares it with:

accelerate launch mmgan/train_classifier.py --mix 1,2,pixel
accelerate launch mmgan/train_classifier.py --config configs/classifier/cifar10-preactresnet18.yaml --mix 1,2,pixel
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmgan.config.classifier import ClassifierConfig
from mmgan.config.parse import parse_config, parser_of
from mmgan.process.output import steady_output
from mmgan.process.program import program
from mmgan.process.stopping import StopRequests

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

PROG = "mmgan train-classifier"
DESCRIPTION = (
    "Train a classifier with Manifold Mixup (arXiv 1806.05236) or another regulariser. Without --config: the embedded"
    f" default, {ClassifierConfig.DEFAULT}, scikit-learn's digits in under a minute on two cores. The paper's setting"
    f" is --config {ClassifierConfig.PAPER}. A setting that the file leaves out has the default below."
    " With --resume and --out alone, the run's own settings are read."
)


def parser() -> "ArgumentParser":
    """The command's parser."""
    return parser_of(ClassifierConfig, PROG, DESCRIPTION)


@program
def main(argv: Sequence[str]) -> None:
    """Run the trainer."""
    default = ClassifierConfig.DEFAULT
    config, source = parse_config(ClassifierConfig, argv, prog=PROG, description=DESCRIPTION, default_config=default)
    with StopRequests(config.run.stop_deadline) as stop, steady_output(stop.lose_reader):
        from mmgan.supervised.run import run_classifier  # here, so that --help and bad flags do not wait for torch

        run_classifier(config, source, stop)


if __name__ == "__main__":
    sys.exit(main())
