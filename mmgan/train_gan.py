"""Train a GAN whose discriminator is regularised by Manifold Mixup:

accelerate launch mmgan/train_gan.py --mix 1,2,pixel
accelerate launch mmgan/train_gan.py --config configs/gan/cifar10.yaml --mix 1,2,pixel
"""

import sys
from collections.abc import Sequence

from mmgan.config.gan import GanConfig
from mmgan.config.parse import parse_config
from mmgan.config.presets import fitting_preset
from mmgan.process.program import program
from mmgan.process.stopping import StopRequests

DESCRIPTION = (
    "Train a GAN whose discriminator is regularised by Manifold Mixup (arXiv 1806.05236, Appendix E). Without --config:"
    f" the preset that fits --data; bare, {GanConfig.DEFAULT}, scikit-learn's digits in two minutes on two cores. The"
    " paper's"
    f" setting is --config {GanConfig.PAPER}. A setting that the file leaves out has the default below."
    " With --resume and --out alone, the run's own settings are read."
)


@program
def main(argv: Sequence[str]) -> None:
    """Run the trainer."""
    config, source = parse_config(
        GanConfig, argv, prog="mmgan train-gan", description=DESCRIPTION, default_config=fitting_preset(argv)
    )
    config.own.refuse_settings_of_ours(argv)
    with StopRequests(config.run.stop_deadline) as stop:
        from mmgan.gan.run import run_gan  # here, so that --help and bad flags do not wait for torch

        run_gan(config, source, stop)


if __name__ == "__main__":
    sys.exit(main())
