"""The hook in conftest.py is awake: a shape that a signature forbids is caught."""

import pytest
import torch
from jaxtyping import TypeCheckError

from mmgan.losses import soft_cross_entropy


def test_a_wrong_rank_is_caught() -> None:
    with pytest.raises(TypeCheckError):
        soft_cross_entropy(torch.zeros(3), torch.zeros(3))


def test_two_names_of_one_size_are_held_together() -> None:
    with pytest.raises(TypeCheckError):
        soft_cross_entropy(torch.zeros(3, 2), torch.zeros(3, 4))


def test_a_wrong_dtype_is_caught() -> None:
    with pytest.raises(TypeCheckError):
        soft_cross_entropy(torch.zeros(3, 2), torch.zeros(3, 2, dtype=torch.int64))


def test_right_shapes_pass() -> None:
    assert soft_cross_entropy(torch.zeros(3, 2), torch.full((3, 2), 0.5)) > 0
