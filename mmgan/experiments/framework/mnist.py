"""MNIST for networks that are trained in memory."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mmgan.data import load_images
from mmgan.data.pixels import to_float


def load_mnist(root: str, split: str, count: int) -> tuple[Float[Tensor, "n 1 28 28"], Int64[Tensor, " n"]]:
    """The first `count` images of a split in [-1, 1] and their labels, on the GPU if there is one; 0: all.

    Raises:
        UserError: if MNIST is not under the root.
    """
    images = load_images("mnist", root, split=split)
    assert images.labels is not None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return to_float(images.pixels[: count or None]).to(device), images.labels[: count or None].to(device)
