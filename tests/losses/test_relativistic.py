"""The relativistic pairing loss against its formula, row by row in Python's own numbers."""

import math
from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from mmgan.losses import consistency_loss
from mmgan.mixing import RealFakePolicy
from mmgan.outputs import heads, per_row
from mmgan.relativistic import RELATIVISTIC

REAL, FAKE = [0.5, -2.0, 3.0, 0.0], [1.5, -2.0, -4.0, 40.0]


def softplus(t: float) -> float:
    return max(t, 0.0) + math.log1p(math.exp(-abs(t)))


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 1, 1)])
def test_softplus_of_the_difference(shape: tuple[int, ...]) -> None:
    real, fake = torch.tensor(REAL).view(shape), torch.tensor(FAKE).view(shape)
    wanted = [softplus(-(r - f)) for r, f in zip(REAL, FAKE, strict=True)]
    torch.testing.assert_close(RELATIVISTIC.discriminator(real, fake), torch.tensor(wanted))
    wanted = [softplus(-(f - r)) for r, f in zip(REAL, FAKE, strict=True)]
    torch.testing.assert_close(RELATIVISTIC.generator(real, fake), torch.tensor(wanted))


def test_only_the_difference_counts_and_the_signs_are_right() -> None:
    real, fake = torch.tensor(REAL, requires_grad=True), torch.tensor(FAKE, requires_grad=True)
    torch.testing.assert_close(RELATIVISTIC.discriminator(real + 7, fake + 7), RELATIVISTIC.discriminator(real, fake))
    (at_real, at_fake) = torch.autograd.grad(RELATIVISTIC.discriminator(real, fake).sum(), [real, fake])
    assert (at_real < 0).all()  # descent raises the real logits
    torch.testing.assert_close(at_real, -at_fake)
    assert (torch.autograd.grad(RELATIVISTIC.generator(real, fake).sum(), fake)[0] <= 0).all()


def test_the_consistency_target_does_not_push_the_level_of_the_logits() -> None:
    plan = RealFakePolicy("1", alpha=1.0).draw(4, step=0)
    level = torch.zeros((), requires_grad=True)
    own, mixed = torch.tensor(REAL + FAKE) + level, torch.randn(4, generator=torch.Generator().manual_seed(0)) + level
    loss = consistency_loss(mixed, own, plan)
    assert loss > 0.1
    (push,) = torch.autograd.grad(loss, level)
    assert push.item() == pytest.approx(0, abs=1e-5)


def test_nests_have_the_mean_over_a_map_and_the_sum_over_heads() -> None:
    g = torch.Generator().manual_seed(0)
    real, fake = (
        {"map": torch.randn(4, 1, 2, 3, generator=g), "flat": [torch.randn(4, generator=g)]} for _ in range(2)
    )
    got = RELATIVISTIC.discriminator(real, fake)
    for i in range(4):
        of_map = [softplus(-t) for t in (real["map"][i] - fake["map"][i]).flatten().tolist()]  # type: ignore[call-overload]
        of_flat = softplus(-(real["flat"][0][i] - fake["flat"][0][i]).item())
        assert got[i].item() == pytest.approx(sum(of_map) / 6 + of_flat, rel=1e-5)


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="heads of the same shapes"):
        RELATIVISTIC.discriminator(torch.zeros(4), torch.zeros(4, 1))
    with pytest.raises(ValueError, match="heads of the same shapes"):
        RELATIVISTIC.discriminator([torch.zeros(4)], [torch.zeros(4)] * 2)


def test_bf16_is_computed_in_float32() -> None:
    real, fake = torch.tensor(REAL).bfloat16(), torch.tensor(FAKE).bfloat16()
    got = RELATIVISTIC.discriminator(real, fake)
    assert torch.equal(got, RELATIVISTIC.discriminator(real.float(), fake.float()))


def test_every_kind_of_nest_is_read_in_order() -> None:
    @dataclass
    class Output:
        first: Tensor
        second: tuple[Tensor, dict[str, Tensor]]

    pair = namedtuple("pair", "a b")
    tensors = [torch.full((2,), float(i)) for i in range(5)]
    output = Output(tensors[0], (tensors[1], {"z": tensors[2], "a": pair(tensors[3], tensors[4])}))  # type: ignore[dict-item]
    assert all(a is b for a, b in zip(heads(output), tensors, strict=True))
    assert per_row(output, 2).tolist() == [10, 10]
    with pytest.raises(TypeError, match="logits are floating-point"):
        heads([tensors[0], torch.zeros(2, dtype=torch.int64)])
    assert len(heads([tensors[0], None, 3.0, Output])) == 1, "what is no tensor is no head"
    for empty in ([], {}):
        with pytest.raises(ValueError, match="no logits"):
            per_row(empty, 2)
    with pytest.raises(ValueError, match="logits of 3 rows"):
        per_row(tensors[0], 3)
    with pytest.raises(ValueError, match="logits of 1 rows"):
        per_row(torch.zeros(()), 1)
