"""Train a classifier with Manifold Mixup, or with another regulariser that the paper compares it with:

accelerate launch mmgan/train_classifier.py --mix 1,2,pixel
accelerate launch mmgan/train_classifier.py --config configs/classifier/cifar10-preactresnet18.yaml --mix 1,2,pixel
"""

import sys
from collections.abc import Sequence

from mmgan.config.classifier import ClassifierConfig
from mmgan.config.parse import parse_config
from mmgan.process.program import program
from mmgan.process.stopping import StopRequests

DEFAULT = "configs/classifier/digits.yaml"
DESCRIPTION = (
    "Train a classifier with Manifold Mixup (arXiv 1806.05236) or another regulariser. Without --config: the embedded"
    f" default, {DEFAULT}, scikit-learn's digits in under a minute on two cores. The paper's setting is"
    " --config configs/classifier/cifar10-preactresnet18.yaml. The defaults below hold for what the file leaves"
    " out. With --resume and --out alone, the run's own settings"
    " are read."
)


@program
def main(argv: Sequence[str]) -> None:
    """Run the trainer."""
    config, source = parse_config(
        ClassifierConfig, argv, prog="mmgan train-classifier", description=DESCRIPTION, default_config=DEFAULT
    )
    with StopRequests(config.run.stop_deadline) as stop:
        from mmgan.supervised.run import run_classifier  # here, so that --help and bad flags do not wait for torch

        run_classifier(config, source, stop)


if __name__ == "__main__":
    sys.exit(main())
