"""Latent consistency regularization, zCR (Zhao et al. 2020, arXiv 2002.04724, Section 3.2 and Algorithm 2).

    discriminator:   lambda_dis E ||D(G(z)) - D(G(z + dz))||^2
    generator:     - lambda_gen E ||G(z) - G(z + dz)||^2,     dz ~ N(0, sigma^2)

The discriminator ignores small changes of the latent, while the generator is kept sensitive to them.
"""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from mmgan.draws import torch_stream
from mmgan.outputs import per_row_of_pairs
from mmgan.regularizers.regularizer import Regularizer
from mmgan.regularizers.step import Step


class ZCR(Regularizer):
    """zCR: in the discriminator's step one more forward of both networks, in the generator's step one more of G.

    Args:
        weight: lambda_dis, 5 in the paper.
        generator_weight: lambda_gen, 0.5 in the paper; 0 leaves the generator's term out. Images differ by the mean
            over their pixels here.
        noise: sigma, the standard deviation of dz in each latent dimension.
        every: steps from one computation of the discriminator's term to the next; it weighs `every` times as much.

    Raises:
        ValueError: for a setting out of range.
    """

    name: ClassVar[str] = "zcr"

    def __init__(self, weight: float, generator_weight: float = 0.5, noise: float = 0.03, every: int = 1) -> None:
        super().__init__(weight, every)
        if not (math.isfinite(generator_weight) and generator_weight >= 0):
            raise ValueError(f"the generator's weight of {self.name} must be 0 or more, not {generator_weight}")
        if not (math.isfinite(noise) and noise > 0):
            raise ValueError(f"the noise of {self.name} must be more than 0, not {noise}")
        self.generator_weight, self.noise = generator_weight, noise

    def value(self, step: Step) -> Float[Tensor, ""]:
        """The mean of ||D(G(z)) - D(G(z + dz))||^2; the generator gets no gradient.

        Raises:
            ValueError: if the step has no generator or no latents.
        """
        if step.generator is None or step.latents is None:
            raise ValueError(f"{self.name} needs the step's generator and latents")
        with torch.no_grad():
            near = step.generator(self._near(step.latents, step.stream("zcr"))).to(step.fake.dtype)  # (b, c, h, w)
        return per_row_of_pairs(
            Tensor.square, step.fake_logits, step.logits(near, step.fake_classes), len(step.fake)
        ).mean()

    def of_generator(
        self,
        fake: Float[Tensor, "n c h w"],
        generator: Callable[[Tensor], Tensor],
        latents: Float[Tensor, "n d"],
        *,
        step: int,
        seed: int = 0,
        rank: int = 0,
    ) -> Float[Tensor, ""]:
        """The number to add to the generator's loss, at most 0: -lambda_gen * the mean of (G(z) - G(z + dz))^2.

        Args:
            fake: G(z), before augmentation, with its graph.
            generator: G.
            latents: z.
            step, seed, rank: name the draw of dz; `step` counts the generator's.
        """
        near = generator(self._near(latents, torch_stream(seed, "zcr of g", rank, step, latents.device)))
        return -self.generator_weight * per_row_of_pairs(Tensor.square, fake, near).mean()

    def _near(self, latents: Tensor, stream: torch.Generator) -> Tensor:
        noise = torch.randn(latents.shape, generator=stream, device=latents.device, dtype=latents.dtype)
        return latents + self.noise * noise

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, generator_weight={self.generator_weight}, noise={self.noise}"
