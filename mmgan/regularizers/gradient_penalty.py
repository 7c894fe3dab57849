"""The gradient penalty of WGAN-GP (Gulrajani et al. 2017, arXiv 1704.00028, Equation 3 and Algorithm 1).

E (||grad D(x^)|| - 1)^2,    x^ = eps x + (1 - eps) G(z),    eps ~ U(0, 1) for every row
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from mmgan.outputs import wide
from mmgan.regularizers.gradients import squared_gradients
from mmgan.regularizers.regularizer import Regularizer
from mmgan.regularizers.step import Step


class GradientPenalty(Regularizer):
    """The penalty at interpolates of real row i and fake row i, which need a forward of their own, in float32.

    With classes, the fake rows are first sorted to the real rows' classes, so that an interpolate has one class. Where
    the fake classes are a permutation of the real ones, all rows find a partner; rows without one are left out.

    Args:
        weight: lambda, 10 in the paper.
        every: steps from one computation to the next; it weighs `every` times as much.
    """

    name: ClassVar[str] = "gradient_penalty"
    second_order: ClassVar[bool] = True

    def value(self, step: Step) -> Float[Tensor, ""]:
        """The mean of (||grad D|| - 1)^2 over the interpolates.

        Raises:
            ValueError: if the numbers of real and fake rows differ.
        """
        real, fake = wide(step.real.detach()), wide(step.fake.detach())
        if real.shape != fake.shape:
            got = f"{tuple(real.shape)} and {tuple(fake.shape)}"
            raise ValueError(f"{self.name} interpolates real and fake rows of the same shape, not {got}")
        classes, weight = None, torch.ones(len(real), dtype=real.dtype, device=real.device)
        if step.real_classes is not None and step.fake_classes is not None:
            by_class, fake_by_class = step.real_classes.argsort(stable=True), step.fake_classes.argsort(stable=True)
            real, classes, fake = real[by_class], step.real_classes[by_class], fake[fake_by_class]
            weight = (classes == step.fake_classes[fake_by_class]).to(real.dtype)
        eps = torch.rand(len(real), generator=step.stream("interpolates"), device=real.device, dtype=real.dtype)
        x = torch.lerp(fake, real, eps.view(-1, *[1] * (real.dim() - 1))).requires_grad_()  # (b, c, h, w)
        with torch.autocast(x.device.type, enabled=False):
            (squared,) = squared_gradients((step.logits(x, classes), x))  # (b,)
            # The root has no slope at 0, where a dead network sits: its gradient is 0 there.
            at_zero = squared == 0
            norm = squared.masked_fill(at_zero, 1).sqrt().masked_fill(at_zero, 0)  # (b,)
            return (weight * (norm - 1).square()).sum() / weight.sum().clamp(min=1)
