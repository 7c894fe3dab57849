"""Train a GAN whose discriminator is regularised by Manifold Mixup:

accelerate launch mmgan/train_gan.py --mix 1,2,pixel
accelerate launch mmgan/train_gan.py --config configs/gan/cifar10.yaml --mix 1,2,pixel
"""

import sys
from collections.abc import Sequence

from mmgan.config.gan import GanConfig
from mmgan.config.parse import parse_config
from mmgan.process.program import program
from mmgan.process.stopping import StopRequests

DEFAULT = "configs/gan/digits.yaml"
DESCRIPTION = (
    "Train a GAN whose discriminator is regularised by Manifold Mixup (arXiv 1806.05236, Appendix E). Without --config:"
    f" the embedded default, {DEFAULT}, scikit-learn's digits in about two minutes on two cores. The paper's setting is"
    " --config configs/gan/cifar10.yaml. The defaults below hold for what the file leaves out."
    " With --resume and --out alone, the run's own settings are read."
)


@program
def main(argv: Sequence[str]) -> None:
    """Run the trainer."""
    config, source = parse_config(
        GanConfig, argv, prog="mmgan train-gan", description=DESCRIPTION, default_config=DEFAULT
    )
    with StopRequests(config.run.stop_deadline) as stop:
        from mmgan.gan.run import run_gan  # here, so that --help and bad flags do not wait for torch

        run_gan(config, source, stop)


if __name__ == "__main__":
    sys.exit(main())
