"""What the paper's own settings cost, from counted operations.

A multiply-add is counted where a convolution or a linear map makes it, on networks without weights (torch's "meta"
device). A training step is three times the forward: forward, gradient of the input, gradient of the weights. Manifold
Mixup replaces rows and so costs a classifier nothing; a discriminator runs the layers after the mix for B more rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmgan.classifiers import build_classifier
from mmgan.discriminators import build_discriminator
from mmgan.experiments.framework.tables import markdown_table
from mmgan.generators import build_generator

SUSTAINED = 20e12
"""Multiply-adds per second that one GPU is assumed to sustain on these networks; not measured. Cards of today reach
150e12 to 500e12 in bf16 at best; small images and batches of 64 to 100 leave much of that idle."""


@dataclass(frozen=True)
class Cost:
    """One published run, and the number of runs in the experiment."""

    experiment: str
    what: str  # data, network, length
    runs: int  # arms times seeds
    multiply_adds: float  # of one run

    @property
    def hours(self) -> float:
        """GPU hours for all runs, one after another, at the sustained rate."""
        return self.runs * self.multiply_adds / SUSTAINED / 3600


def forward_multiply_adds(network: nn.Module, *shape: int) -> float:
    """Multiply-adds of one forward of an input of this shape."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(shape, device="meta"))
    flops: int = counter.get_total_flops()
    return flops / 2


def costs() -> list[Cost]:
    """Every experiment that was not run at the paper's scale here."""
    cifar, svhn, tiny = 45_000, 68_257, 95_000  # the images that are trained on: 5,000 are held out
    return [
        Cost("cifar", "CIFAR-10, PreActResNet-18", 15, _classifier("preactresnet", 10, cifar, 1200, depth=18)),
        Cost("cifar", "both CIFARs, PreActResNet-18, AdaMix", 10, _adamix(cifar)),
        Cost("cifar", "CIFAR-10, PreActResNet-34", 15, _classifier("preactresnet", 10, cifar, 1200, depth=34)),
        Cost("cifar", "CIFAR-10, WRN-28-10", 15, _classifier("wideresnet", 10, cifar, 400, depth=28, widen_factor=10)),
        Cost("cifar", "CIFAR-100, all three networks", 15, _three(100, cifar)),
        Cost("cifar", "SVHN, all three networks", 15, _three(10, svhn)),
        Cost("cifar", "Tiny-ImageNet, PreActResNet-18", 15, _classifier("preactresnet", 200, tiny, 2000, 64, depth=18)),
        Cost("regularizers", "CIFAR-10, PreActResNet-50", 25, _classifier("preactresnet", 10, cifar, 600, depth=50)),
        Cost("layers", "both CIFARs, PreActResNet-18", 100, _classifier("preactresnet", 100, cifar, 2000, depth=18)),
        Cost("alpha", "CIFAR-10, PreActResNet-18", 65, _classifier("preactresnet", 10, cifar, 2000, depth=18)),
        Cost("losses", "CIFAR-10, PreActResNet-18", 25, _classifier("preactresnet", 10, cifar, 1200, depth=18)),
        Cost("losses", "CIFAR-100, PreActResNet-50", 15, _classifier("preactresnet", 100, cifar, 600, depth=50)),
        Cost("gan", "CIFAR-10, SNGAN, 50,000 steps", 65, _gan(50_000)),
        # 12 of the pilot; for each of two sizes and the first six arms four runs of the search and at least five seeds.
        Cost("regularizers-gan", "CIFAR-10, SNGAN, 50,000 steps, the first six arms", 120, _gan(50_000)),
    ]


def _classifier(arch: str, classes: int, images: int, epochs: int, size: int = 32, **settings: int) -> float:
    with torch.device("meta"):
        network = build_classifier(arch, classes, 3, size, **settings)  # type: ignore[arg-type]
    return 3 * forward_multiply_adds(network.eval(), 1, 3, size, size) * images * epochs


def _adamix(images: int) -> float:
    """Half a batch of mixed rows next to the whole one, and half a batch through the generator, which is as large."""
    return 2 * _classifier("preactresnet", 100, images, 1200, depth=18)


def _three(classes: int, images: int) -> float:
    residual = sum(_classifier("preactresnet", classes, images, 1200, depth=depth) for depth in (18, 34))
    return residual + _classifier("wideresnet", classes, images, 400, depth=28, widen_factor=10)


def _gan(steps: int, batch: int = 64, n_dis: int = 5) -> float:
    """Appendix E: n_dis steps of D over B real and B fake rows and 0.26 of them again for B mixed ones on average over
    1, 2 and pixel, then one of G over 2B; D passes gradients of G's step to its input alone."""
    with torch.device("meta"):
        generator, discriminator = build_generator("resnet", 32, 3), build_discriminator("resnet", 32, 3)
    g = forward_multiply_adds(generator.eval(), 1, 128)
    d = forward_multiply_adds(discriminator.eval(), 1, 3, 32, 32)
    return steps * (n_dis * (batch * g + 3 * 1.26 * 2 * batch * d) + 2 * batch * (3 * g + 2 * d))


def costs_table(rows: Sequence[Cost]) -> str:
    """The costs as Markdown."""
    header = ("experiment", "what", "runs", "multiply-adds a run", "hours of one GPU")
    cells = [(f"`{c.experiment}`", c.what, str(c.runs), f"{c.multiply_adds:.2g}", f"{c.hours:,.0f}") for c in rows]
    return "\n".join(markdown_table(header, cells))
