"""k nearest neighbours on features (Section 5.1)."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from mmgan.analysis.input_checks import check_features
from mmgan.errors import UserError


def knn_error_percent(
    bank: Float[Tensor, "m d"],
    bank_labels: Int[Tensor, " m"],
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    *,
    k: int = 5,
    chunk: int = 256,
) -> float:
    """Error, in percent, of a k-nearest-neighbour classifier on features (Section 5.1).

    The paper names neither k, nor the layer, nor the distance: here it is the Euclidean distance, in float64, and each
    of the k neighbours has one vote. Ties are resolved by fixed rules: of equally near neighbours the earlier in the
    bank counts; of classes with equally many votes the lower label wins. (Equality is that of float64: exact for
    features of small whole numbers, otherwise within the rounding of a scalar product.) scikit-learn's
    KNeighborsClassifier does not define which of equally near neighbours votes, and differs on sets with many ties.

    Args:
        bank: features of the training images, (M, D).
        bank_labels: their labels, (M,).
        features: features of the test images, (N, D).
        labels: their labels, (N,).
        k: neighbours that vote, 1 .. M.
        chunk: test images at a time; memory is chunk x M x 8 bytes and a little more.

    Raises:
        UserError: if k or chunk is out of range, the two feature widths differ, or for what `check_features` refuses.
    """
    check_features(bank, bank_labels)
    check_features(features, labels)
    if bank.shape[1] != features.shape[1]:
        raise UserError(f"bank features are {bank.shape[1]} wide and the others {features.shape[1]}: use one layer")
    if not 1 <= k <= len(bank):
        raise UserError(f"k = {k} neighbours cannot be found among {len(bank)}: choose 1 to {len(bank)}")
    if chunk < 1:
        raise UserError(f"chunk = {chunk} holds no image: choose 1 or more")
    # |q - b|^2 orders the bank as |b|^2 - 2 q.b does. An origin inside the bank keeps the products small; one of its
    # points, unlike its mean, is subtracted without rounding, which would part equal distances.
    origin = bank[0].double()
    b = bank.double() - origin
    squares = b.square().sum(dim=1)
    votes_of = F.one_hot(bank_labels.long()).double()  # (m, classes)
    wrong = 0
    for rows, truth in zip(torch.split(features, chunk), torch.split(labels, chunk), strict=True):
        distance = squares - 2 * (rows.double() - origin) @ b.T  # (chunk, m)
        votes = _nearest(distance, k).double() @ votes_of  # (chunk, classes)
        wrong += int((votes.argmax(dim=1) != truth).sum())
    return 100.0 * wrong / len(features)


def _nearest(distance: Float[Tensor, "n m"], k: int) -> Bool[Tensor, "n m"]:
    """Marks the k smallest of each row; of equal ones the first."""
    kth = distance.kthvalue(k, dim=1, keepdim=True).values  # (n, 1)
    nearer, equal = distance < kth, distance == kth
    room = k - nearer.sum(dim=1, keepdim=True)  # (n, 1)
    return nearer | (equal & (equal.cumsum(dim=1, dtype=torch.int32) <= room))
