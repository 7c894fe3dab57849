"""Latents that are not simply drawn: truncated ones, and paths from one to the next."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


def truncated(z: Float[Tensor, "n d"], limit: float) -> Float[Tensor, "n d"]:
    """Standard normal latents as draws from the normal law cut at [-limit, limit] (the truncation trick of BigGAN).

    Each number keeps its place in the order of the law: Phi(z) is scaled to [Phi(-limit), Phi(limit)] and inverted. So
    image i stays recognisable at every limit, and an infinite one changes nothing but rounding.

    Args:
        z: drawn from N(0, I).
        limit: above 0.
    """
    low = 0.5 * math.erfc(limit / math.sqrt(2))  # Phi(-limit)
    share = low + (1 - 2 * low) * torch.special.ndtr(z.double())
    cut: Tensor = torch.special.ndtri(share).clamp(-limit, limit).to(z.dtype)
    return cut


def closed_path(z: Float[Tensor, "n d"], frames: int) -> Float[Tensor, "n*frames d"]:
    """From each latent to the next and from the last to the first, `frames` latents each, the first of them its own.

    Spherical interpolation: the latents on the way have lengths between those of the ends, as drawn ones have. A
    straight line would pass nearer to 0, where no draws lie.

    Args:
        z: (n, d), two or more.
        frames: from one latent to the next.
    """
    t = (torch.arange(frames, dtype=torch.float64) / frames)[None, :, None]  # (1, frames, 1)
    a, b = z.double()[:, None], z.double().roll(-1, 0)[:, None]  # (n, 1, d)
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=2).clamp(-1, 1)[..., None]  # (n, 1, 1)
    angle = cosine.acos()
    sine = angle.sin()
    on_sphere = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / sine  # (n, frames, d)
    path = torch.where(sine < 1e-6, torch.lerp(a, b, t), on_sphere)
    return path.flatten(0, 1).to(z.dtype)


class Truncated(nn.Module):
    """A generator whose latents are truncated first."""

    def __init__(self, generator: nn.Module, limit: float) -> None:
        super().__init__()
        self.generator, self.limit = generator, limit

    def forward(self, z: Float[Tensor, "n d"], *others: Tensor) -> Float[Tensor, "n c h w"]:
        images: Tensor = self.generator(truncated(z, self.limit), *others)
        return images
