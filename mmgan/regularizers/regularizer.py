"""The common shape of regularizers: a module that sees the step and gives one number."""

import math
from collections.abc import Iterable
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmgan.regularizers.step import Step


class Regularizer(nn.Module):
    """A term of the discriminator's loss. State, where there is any, is buffers.

    A lazy term is computed at every `every`-th step and weighs `every` times as much there, so that its mean weight is
    the same (Karras et al. 2020, arXiv 1912.04958, Appendix B). It is part of the same update as the loss, so Adam's
    settings stay as they are.

    Attributes:
        name: as metrics and messages have it.
        differentiates: which of "real" and "fake" must require gradients before the forward.
        second_order: whether the value contains gradients, so that its backward differentiates twice.

    Args:
        weight: factor of the value, more than 0. A term that is off is left out.
        every: steps from one computation to the next.

    Raises:
        ValueError: for a weight or a period out of range.
    """

    name: ClassVar[str]
    differentiates: ClassVar[tuple[str, ...]] = ()
    second_order: ClassVar[bool] = False

    def __init__(self, weight: float, every: int = 1) -> None:
        super().__init__()
        if not (math.isfinite(weight) and weight > 0):
            raise ValueError(f"the weight of {self.name} must be more than 0, not {weight}: leave out what is off")
        if every < 1:
            raise ValueError(f"{self.name} is computed every 1 or more steps, not {every}")
        self.weight, self.every = weight, every

    def due(self, number: int) -> bool:
        """Whether the term is computed at this step."""
        return number % self.every == 0

    def value(self, step: Step) -> Float[Tensor, ""]:
        """The term without its weight, differentiable in the discriminator's parameters."""
        raise NotImplementedError

    def weighted(self, value: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """The value as the loss takes it: times weight and `every`."""
        return value * (self.weight * self.every)

    def forward(self, step: Step) -> Float[Tensor, ""]:
        """The number to add to the discriminator's loss: weight * every * value, or 0 where the term is not due."""
        return self.weighted(self.value(step)) if self.due(step.number) else torch.zeros((), device=step.real.device)

    def extra_repr(self) -> str:
        return f"weight={self.weight}" + (f", every={self.every}" if self.every > 1 else "")


class Regularizers(nn.ModuleDict):
    """Several regularizers by name; none costs nothing.

    Args:
        terms: at most one of each name.

    Raises:
        ValueError: if two have one name.
    """

    def __init__(self, terms: Iterable[Regularizer] = ()) -> None:
        super().__init__()
        for term in terms:
            if term.name in self:
                raise ValueError(f"{term.name} is given twice")
            self[term.name] = term

    def due(self, number: int) -> list[Regularizer]:
        """The terms that are computed at this step."""
        return [term for term in self.values() if isinstance(term, Regularizer) and term.due(number)]

    def second_order(self, number: int) -> bool:
        """Whether the step differentiates twice, which compiled graphs do not do: run it eagerly."""
        return any(term.second_order for term in self.due(number))

    def differentiable(
        self, number: int, real: Float[Tensor, "..."], fake: Float[Tensor, "..."]
    ) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
        """The images to give the discriminator: with gradients where a term that is due differentiates at them.

        The same memory, detached from what made them. Augmentation comes before, mixing after.
        """
        wanted = {name for term in self.due(number) for name in term.differentiates}
        return (
            real.detach().requires_grad_() if "real" in wanted else real,
            fake.detach().requires_grad_() if "fake" in wanted else fake,
        )

    def forward(self, step: Step) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """The number to add to the discriminator's loss, and what to log.

        Returns:
            The sum of the weighted terms that are due, and their values by name: detached, without weight and period.
        """
        total, values = torch.zeros((), device=step.real.device), {}
        for term in self.due(step.number):
            value = term.value(step)
            total, values[term.name] = total + term.weighted(value), value.detach()
        return total, values
