"""Balanced consistency regularization, bCR (Zhao et al. 2020, arXiv 2002.04724, Section 3.1 and Algorithm 1).

    E ||D(x) - D(T(x))||^2 + E ||D(G(z)) - D(T(G(z)))||^2

T is a random augmentation that keeps what the image shows: in the paper flips and shifts of a few pixels.
"""

from typing import ClassVar, Protocol

from jaxtyping import Float
from torch import Tensor

from mmgan.outputs import per_row_of_pairs
from mmgan.regularizers.diffaugment import DiffAugment
from mmgan.regularizers.regularizer import Regularizer
from mmgan.regularizers.step import Step


class Augment(Protocol):
    """A random augmentation of images, pure in the words and numbers after them, as `DiffAugment`."""

    def __call__(self, images: Tensor, rows: str, *, step: int, seed: int, rank: int) -> Tensor: ...


class BCR(Regularizer):
    """bCR on real and fake rows: one more forward for each.

    The squared difference has its mean over a map and its sum over heads. Gradients flow through both outputs.

    Args:
        weight: lambda_real = lambda_fake, 10 in the paper.
        augment: T; by default flips and shifts of up to an eighth of the side. Where left and right differ (digits,
            text), give `DiffAugment("translation")`.
        every: steps from one computation to the next; it weighs `every` times as much.
    """

    name: ClassVar[str] = "bcr"

    def __init__(self, weight: float, augment: Augment | None = None, every: int = 1) -> None:
        super().__init__(weight, every)
        self.augment: Augment = DiffAugment("flip,translation") if augment is None else augment

    def value(self, step: Step) -> Float[Tensor, ""]:
        """The mean over real rows plus the mean over fake rows."""

        def side(images: Tensor, logits: object, classes: Tensor | None, rows: str) -> Tensor:
            augmented = self.augment(images.detach(), rows, step=step.number, seed=step.seed, rank=step.rank)
            return per_row_of_pairs(Tensor.square, logits, step.logits(augmented, classes), len(images)).mean()

        return side(step.real, step.real_logits, step.real_classes, "bcr real") + side(
            step.fake, step.fake_logits, step.fake_classes, "bcr fake"
        )
