"""Differentiable augmentation of real and fake images (Zhao et al. 2020, arXiv 2006.10738, Section 3.2).

The discriminator never sees an image that is not augmented, and the generator's gradient passes through the
augmentation of its images.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmgan.draws import torch_stream
from mmgan.errors import UserError, did_you_mean
from mmgan.outputs import wide

Operation = Callable[[Tensor, torch.Generator], Tensor]


class DiffAugment(nn.Module):
    """Random colour, translation and cutout for every image, differentiable in the images.

        augment = DiffAugment("color,translation,cutout")
        real = augment(real, "real", step=step, seed=seed, rank=rank)
        fake = augment(fake, "fake", step=step, seed=seed, rank=rank)

    It comes before mixing and before penalties. Parts of the policy, in the order given:

    - color: brightness + U(-1/2, 1/2); then saturation, distances from the grey of each pixel times U(0, 2); then
      contrast, distances from the mean of the image times U(1/2, 3/2). Values may leave [-1, 1].
    - translation: whole pixels, up to an eighth of the side each way; what moves in is 0, the middle grey.
    - cutout: a box of half the side is set to 0. Its centre lies anywhere, so the border may cut the box down to a
      quarter of its area.
    - flip: left and right exchanged with probability 1/2. Not part of the paper's policy; bCR uses it.

    Args:
        policy: parts joined by commas.

    Raises:
        UserError: for a part that is unknown or given twice.
    """

    def __init__(self, policy: str = "color,translation,cutout") -> None:
        super().__init__()
        self.policy = policy
        names = [name.strip() for name in policy.split(",")]
        for name in names:
            if name not in OPERATIONS:
                raise UserError(f"there is no augmentation '{name}': {did_you_mean(name, list(OPERATIONS))}")
        if len(set(names)) < len(names):
            raise UserError(f"the augmentations '{policy}' name one twice: name each at most once")
        self.operations: list[Operation] = [OPERATIONS[name] for name in names]

    def forward(
        self, images: Float[Tensor, "n c h w"], rows: str, *, step: int, seed: int = 0, rank: int = 0
    ) -> Float[Tensor, "n c h w"]:
        """The images, each with its own draws; same type and device.

        Args:
            images: (n, c, h, w), floating point in [-1, 1].
            rows: which rows these are ("real", "fake", "fake of g"): each word has its own draws.
            step, seed, rank: name the draws, with `rows`. Equal names give equal draws.

        Raises:
            ValueError: for images that are not floating point (n, c, h, w).
        """
        if images.dim() != 4 or not images.is_floating_point():
            raise ValueError(f"images are floating point (n, c, h, w), not {images.dtype} {tuple(images.shape)}")
        stream = torch_stream(seed, f"augment {rows}", rank, step, images.device)
        x = wide(images)  # (n, c, h, w)
        for operation in self.operations:
            x = operation(x, stream)
        return x.to(images.dtype)

    def extra_repr(self) -> str:
        return f"'{self.policy}'"


def color(x: Tensor, stream: torch.Generator) -> Tensor:
    """Brightness, saturation and contrast, in this order."""
    brightness, saturation, contrast = torch.rand(
        3, len(x), 1, 1, 1, generator=stream, device=x.device, dtype=x.dtype
    )  # (n, 1, 1, 1) each, in [0, 1)
    x = x + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)  # (n, 1, h, w)
    x = torch.lerp(grey, x, 2 * saturation)
    mean = x.mean((1, 2, 3), keepdim=True)  # (n, 1, 1, 1)
    return torch.lerp(mean, x, contrast + 0.5)


def translation(x: Tensor, stream: torch.Generator) -> Tensor:
    """Shifts by whole pixels, up to an eighth of the side (rounded) each way."""
    for dim in (2, 3):
        size = x.shape[dim]
        most = int(size / 8 + 0.5)
        shift = torch.randint(-most, most + 1, (len(x), 1), generator=stream, device=x.device)
        source = torch.arange(size, device=x.device) - shift  # (n, size)
        shape = [len(x), 1, 1, 1]
        shape[dim] = size
        inside = ((source >= 0) & (source < size)).view(shape)
        # The clamped places outside add zeros in the backward, so the order of additions changes no bit.
        x = x.gather(dim, source.clamp(0, size - 1).view(shape).expand_as(x)) * inside
    return x


def cutout(x: Tensor, stream: torch.Generator) -> Tensor:
    """A box of half the side, cut off at the border, becomes 0."""
    inside = torch.ones(len(x), 1, 1, 1, dtype=torch.bool, device=x.device)
    for dim in (2, 3):
        size = x.shape[dim]
        side = int(size / 2 + 0.5)
        # An even box has its centre between pixels, where there is one place more.
        centre = torch.randint(0, size + 1 - side % 2, (len(x), 1), generator=stream, device=x.device)
        place = torch.arange(size, device=x.device) - centre + side // 2  # (n, size), 0 at the box's first pixel
        shape = [len(x), 1, 1, 1]
        shape[dim] = size
        inside = inside & ((place >= 0) & (place < side)).view(shape)  # (n, 1, h, w) in the end
    return x.masked_fill(inside, 0)


def flip(x: Tensor, stream: torch.Generator) -> Tensor:
    """Left and right exchanged with probability 1/2."""
    mirrored = torch.rand(len(x), 1, 1, 1, generator=stream, device=x.device) < 0.5
    return torch.where(mirrored, x.flip(3), x)


OPERATIONS: dict[str, Operation] = {"color": color, "translation": translation, "cutout": cutout, "flip": flip}
