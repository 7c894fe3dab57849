"""Refuse inputs for which the measures would give a wrong number.

The arguments are annotated as plain tensors, because these functions check their shapes.
"""

import torch
from torch import Tensor

from mmgan.errors import UserError


def check_images(images: Tensor) -> None:
    """Refuse anything but a batch (N, C, H, W) of float images in [-1, 1].

    Raises:
        UserError: for another dtype, shape or range; NaN counts as out of range.
    """
    if images.dim() != 4 or not images.is_floating_point() or images.numel() == 0:
        raise UserError(f"images must be float (N, C, H, W) with N > 0, not {images.dtype} {tuple(images.shape)}")
    low, high = (float(value) for value in images.detach().aminmax())
    if not (low >= -1 and high <= 1):
        raise UserError(f"images must lie in [-1, 1], black to white, but reach from {low:.3g} to {high:.3g}")


def check_labels(labels: Tensor, rows: int, classes: int | None = None) -> None:
    """Refuse labels that do not name one class for each of `rows` rows.

    Raises:
        UserError: for a float dtype, another length, or a label outside 0 .. classes - 1.
    """
    if labels.dim() != 1 or labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise UserError(f"labels must be integers of shape (N,), not {labels.dtype} {tuple(labels.shape)}")
    if len(labels) != rows or rows == 0:
        raise UserError(f"there are {len(labels)} labels for {rows} rows: give as many, and at least one")
    low, high = (int(value) for value in labels.aminmax())
    if low < 0 or (classes is not None and high >= classes):
        wanted = f"0 to {classes - 1}" if classes is not None else "0 and above"
        raise UserError(f"label {low if low < 0 else high} is outside the classes: labels must be {wanted}")


def check_logits(logits: Tensor, labels: Tensor) -> None:
    """Refuse logits and labels that give no valid error or likelihood.

    Raises:
        UserError: for other shapes, NaN or infinite logits, or what `check_labels` refuses.
    """
    if logits.dim() != 2 or not logits.is_floating_point():
        raise UserError(f"logits must be float (N, classes), not {logits.dtype} {tuple(logits.shape)}")
    check_labels(labels, *logits.shape)
    if not bool(logits.isfinite().all()):
        rows = int((~logits.isfinite()).any(dim=1).sum())
        raise UserError(f"{rows} of {len(logits)} rows of logits are NaN or infinite: the classifier has diverged")


def check_features(features: Tensor, labels: Tensor) -> None:
    """Refuse features and labels that do not belong together.

    Raises:
        UserError: for other shapes, NaN or infinite features, or what `check_labels` refuses.
    """
    if features.dim() != 2 or not features.is_floating_point():
        raise UserError(f"features must be float (N, D), not {features.dtype} {tuple(features.shape)}: flatten them")
    check_labels(labels, len(features))
    if not bool(features.isfinite().all()):
        raise UserError("features hold NaN or infinite values: the network has diverged")
