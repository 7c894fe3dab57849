"""R1 and R2, zero-centred gradient penalties (Mescheder et al. 2018, arXiv 1801.04406, Section 4.1).

    R1 = 1/2 E_x ||grad D(x)||^2  at real rows,    R2 = 1/2 E_z ||grad D(G(z))||^2  at fake rows

The weight is the paper's gamma: 10 there, with 1/2 in the formula. StyleGAN2 computes R1 every 16 steps.
"""

from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from mmgan.regularizers.gradients import squared_gradients
from mmgan.regularizers.regularizer import Regularizer
from mmgan.regularizers.step import Step


def r1(logits: Any, real: Float[Tensor, "n ..."]) -> Float[Tensor, ""]:
    """1/2 mean ||grad D(x)||^2 over real rows, for a loop of your own.

        real.requires_grad_()
        real_logits = discriminator(real)
        loss_d = loss_d + gamma * r1(real_logits, real)

    Args:
        logits: the discriminator's output for `real` in the step's own forward: (n,), (n, 1), a map or a nest of them.
        real: (n, ...), the images that the discriminator was given. They required gradients before.

    Returns:
        A float32 scalar (float64 for float64 images), differentiable in the discriminator's parameters.

    Raises:
        ValueError: if the logits do not depend on the images through recorded operations.
    """
    return squared_gradients((logits, real))[0].mean() / 2


def r2(logits: Any, fake: Float[Tensor, "n ..."]) -> Float[Tensor, ""]:
    """1/2 mean ||grad D(G(z))||^2 over fake rows; as `r1`."""
    return r1(logits, fake)


class R1(Regularizer):
    """R1 at the real rows of the step.

    Args:
        weight: gamma.
        every: steps from one computation to the next; it weighs `every` times as much.
    """

    name: ClassVar[str] = "r1"
    differentiates: ClassVar[tuple[str, ...]] = ("real",)
    second_order: ClassVar[bool] = True

    def value(self, step: Step) -> Float[Tensor, ""]:
        """1/2 mean ||grad D||^2; errors as in `r1`."""
        if not getattr(step, self.differentiates[0]).requires_grad:
            raise ValueError(
                f"{self.name} needs {self.differentiates[0]} images that require gradients: give the discriminator"
                " those of Regularizers.differentiable(number, real, fake)"
            )
        return step.squared_gradients[self.differentiates[0]].mean() / 2


class R2(R1):
    """R2 at the fake rows of the step; with R1, both take one backward. Arguments as R1."""

    name: ClassVar[str] = "r2"
    differentiates: ClassVar[tuple[str, ...]] = ("fake",)
