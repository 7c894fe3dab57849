"""Error and NLL of a classifier on images that it is not trained on, shared among processes.

The images are cut into fixed chunks; rank c mod P works on chunk c. One process computes each example's result, in the
same chunk for any P. So the numbers are bitwise the same for any number of processes P.
"""

from dataclasses import dataclass

import torch
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mmgan.data import Images, to_float
from mmgan.errors import TrainingFailed, UserError

CHUNK = 250
"""Images per forward."""


@dataclass(frozen=True)
class HeldOutResult:
    """Results of a classifier on one split.

    Attributes:
        error_percent: share of images whose largest logit is not the label's, in percent.
        nll: mean of -log softmax(logits)[label], in nats.
        examples: number of images.
    """

    error_percent: float
    nll: float
    examples: int


def held_out_result(network: nn.Module, images: Images, accelerator: Accelerator) -> HeldOutResult:
    """Error and NLL on all images of a split, each counted once. All processes call it and get the same result.

    Args:
        network: images in [-1, 1] -> logits, in eval mode and the same on every process.
        images: with labels, at least one.

    Raises:
        UserError: if there are no labels.
        TrainingFailed: if a logit is not finite.
    """
    if images.labels is None:
        raise UserError(f"{images.name} ({images.split}) has no labels to compare with")
    device, rank, count = accelerator.device, accelerator.process_index, accelerator.num_processes
    # Rows of other processes stay 0, so that the sum over processes is exact.
    table = torch.zeros(len(images), 2, device=device)  # (n, 2): wrong or not, NLL
    parts = [torch.split(tensor, CHUNK) for tensor in (images.pixels, images.labels, table)]
    with torch.inference_mode():
        for c, (pixels, labels, rows) in enumerate(zip(*parts, strict=True)):
            if c % count == rank:
                rows.copy_(_per_example(network, to_float(pixels.to(device)), labels.to(device)))
    wrong, nll = accelerator.reduce(table, reduction="sum").cpu().double().mean(0).tolist()
    if not abs(nll) < float("inf"):
        raise TrainingFailed(f"the classifier yields logits that are not finite on {images.name} ({images.split})")
    return HeldOutResult(100 * wrong, nll, len(images))


def _per_example(network: nn.Module, x: Tensor, labels: Tensor) -> Float[Tensor, "n 2"]:
    logits = network(x).float()  # (n, classes)
    wrong = (logits.argmax(1) != labels).float()
    return torch.stack([wrong, F.cross_entropy(logits, labels, reduction="none")], dim=1)  # (n, 2)
