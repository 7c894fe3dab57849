"""What a regularizer sees of a discriminator's step."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mmgan.draws import torch_stream
from mmgan.regularizers.gradients import squared_gradients


@dataclass(frozen=True, eq=False)
class Step:
    """One discriminator step, after its forward.

    Attributes:
        real: (b, c, h, w), the images as the discriminator saw them: augmented, where they are augmented. Where the
            gradient at them is penalised, they required gradients before the forward (`Regularizers.differentiable`).
        fake: (b, c, h, w), likewise.
        real_logits: the discriminator's output for `real`, a tensor or a nest of tensors.
        fake_logits: for `fake`.
        discriminator: maps images, or images and classes where there are classes, to logits. It is called with real or
            fake rows alone. Spectral norms should not advance in it. It should not enter autocast by itself, as a model
            that `accelerate` has prepared does: penalties call it in float32.
        number: of the discriminator's step, from 0: decides what is due, and names the draws.
        seed: of the draws.
        rank: of the draws, different on every process and in every slice of an accumulated step.
        real_classes: (b,) classes of the real rows, where the discriminator takes them.
        fake_classes: (b,) of the fake rows.
        generator: maps latents to images, augmented with the draws of `fake` where that is augmented; for zCR.
        latents: (b, d), those of `fake`; for zCR.
        last: whether this is the last slice of the step. Without gradient accumulation every step has one slice.
    """

    real: Float[Tensor, "b c h w"]
    fake: Float[Tensor, "b c h w"]
    real_logits: Any
    fake_logits: Any
    discriminator: Callable[..., Any]
    number: int
    seed: int = 0
    rank: int = 0
    real_classes: Int64[Tensor, " b"] | None = None
    fake_classes: Int64[Tensor, " b"] | None = None
    generator: Callable[[Tensor], Tensor] | None = None
    latents: Float[Tensor, "b d"] | None = None
    last: bool = True

    def __post_init__(self) -> None:
        if (self.real_classes is None) != (self.fake_classes is None):
            raise ValueError("real_classes and fake_classes are given both or not at all")

    def stream(self, purpose: str) -> torch.Generator:
        """The stream of draws of this step for a purpose, on the images' device."""
        return torch_stream(self.seed, purpose, self.rank, self.number, self.real.device)

    def logits(self, images: Tensor, classes: Tensor | None) -> Any:
        """The discriminator's output, for classes where there are any."""
        return self.discriminator(images) if classes is None else self.discriminator(images, classes)

    @cached_property
    def squared_gradients(self) -> dict[str, Tensor]:
        """||grad D||^2 of each row, (b,), where "real" and "fake" require gradients; one backward for both."""
        rows = {"real": (self.real_logits, self.real), "fake": (self.fake_logits, self.fake)}
        wanted = {name: pair for name, pair in rows.items() if pair[1].requires_grad}
        return dict(zip(wanted, squared_gradients(*wanted.values()), strict=True))
