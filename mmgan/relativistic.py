"""Relativistic pairing losses: costs of pairs of a real and a fake row.

Row i of the real batch is paired with row i of the fake batch. Both are independent draws, so any pairing has the same
expectation.
"""

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mmgan.losses import PerRow
from mmgan.outputs import per_row_of_pairs


@dataclass(frozen=True)
class PairLoss:
    """f(D(x) - D(G(z))) for the discriminator, f(D(G(z)) - D(x)) for the generator, row by row.

    Logits may be (n,), (n, 1), maps (n, 1, h, w) or nests of them: f is taken element by element, then the mean over a
    map and the sum over heads. The generator's step needs logits of real rows too.

    Attributes:
        cost: f, which falls as its argument grows.
    """

    cost: PerRow

    def discriminator(self, real: Any, fake: Any) -> Float[Tensor, " n"]:
        """What the discriminator minimises, from the logits of n real and n fake rows.

        Raises:
            ValueError: if the two differ in shape.
        """
        return per_row_of_pairs(self.cost, real, fake)

    def generator(self, real: Any, fake: Any) -> Float[Tensor, " n"]:
        """What the generator minimises; arguments and errors as in `discriminator`."""
        return per_row_of_pairs(self.cost, fake, real)


# Jolicoeur-Martineau 2018 (arXiv 1807.00734); R3GAN, Huang et al. 2024 (arXiv 2501.05441), Equation 2, with R1 and R2.
RELATIVISTIC = PairLoss(lambda difference: F.softplus(-difference))
