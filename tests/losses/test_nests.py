"""Losses on nests of logits: a mean over a head's row, a sum over heads, a mean over the rows that count."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from mmgan import RealFakePolicy, real_fake_labels
from mmgan.losses import GAN_LOSSES, GANLossName, discriminator_losses, generator_loss, mixed_loss, squared_error

B = 5
NAMES = list(GAN_LOSSES)


def nest(seed: int, rows: int = B) -> dict[str, Any]:
    g = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(rows, *shape, generator=g, dtype=torch.float64).requires_grad_()  # noqa: E731
    return {"fine": draw(1, 4, 3), "coarse": [draw(1, 2), (draw(1), draw())]}


def heads_of(output: dict[str, Any]) -> list[Tensor]:
    return [output["fine"], output["coarse"][0], *output["coarse"][1]]


def by_hand(cost: Callable[[Tensor, int], Tensor], output: dict[str, Any], count: list[int] | None = None) -> Tensor:
    """Row by row and head by head."""
    rows = range(len(output["fine"])) if count is None else count
    return torch.stack(
        [
            torch.stack(
                [torch.stack([cost(v, m) for v in head[m].reshape(-1)]).mean() for head in heads_of(output)]
            ).sum()
            for m in rows
        ]
    ).mean()


def assert_same(got: Tensor, wanted: Tensor, *outputs: dict[str, Any]) -> None:
    torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-8)
    leaves = [leaf for output in outputs for leaf in heads_of(output)]
    torch.testing.assert_close(
        torch.autograd.grad(got, leaves, retain_graph=True, allow_unused=True, materialize_grads=True),
        torch.autograd.grad(wanted, leaves, retain_graph=True, allow_unused=True, materialize_grads=True),
        rtol=1e-6,
        atol=1e-8,
    )


@pytest.mark.parametrize("name", NAMES)
def test_generator_loss(name: GANLossName) -> None:
    fake = nest(0)
    wanted = by_hand(lambda v, _: GAN_LOSSES[name].generator(v), fake)
    assert_same(generator_loss(GAN_LOSSES[name], fake), wanted, fake)


@pytest.mark.parametrize("weight", [None, [1.0, 0.0, 1.0, 1.0, 0.0], [0.0] * B])
@pytest.mark.parametrize("name", NAMES)
def test_discriminator_losses(name: GANLossName, weight: list[float] | None) -> None:
    loss, real, fake, mixed = GAN_LOSSES[name], nest(0), nest(1), nest(2)
    plan = RealFakePolicy("1", alpha=1.0).draw(B, 3)
    plan = replace(plan, weight=None if weight is None else torch.tensor(weight))
    lam = plan.lam.double()
    y = lam * (plan.left < B) + (1 - lam) * (plan.right < B)

    def cost(v: Tensor, m: int) -> Tensor:
        return y[m] * loss.real(v) + (1 - y[m]) * loss.fake(v)

    counted = [m for m in range(B) if weight is None or weight[m]]
    on_mixed = by_hand(cost, mixed, counted) if counted else 0 * mixed["fine"].sum()
    assert_same(mixed_loss(loss, mixed, plan), on_mixed, mixed)
    as_fake = by_hand(lambda v, _: loss.fake(v), mixed, counted) if counted else 0 * mixed["fine"].sum()
    assert_same(mixed_loss(loss, mixed, plan, "fake"), as_fake, mixed)
    got = discriminator_losses(loss, real, fake, mixed, plan, mix_weight=0.4)
    on_real = by_hand(lambda v, _: loss.real(v), real)
    on_fake = by_hand(lambda v, _: loss.fake(v), fake)
    torch.testing.assert_close(
        torch.stack([got.real, got.fake, got.mixed.double()]), torch.stack([on_real, on_fake, on_mixed])
    )
    assert_same(got.total, on_real + on_fake + 0.4 * on_mixed, real, fake, mixed)


@pytest.mark.parametrize("weight", [None, [0.0, 1.0, 0.0, 1.0, 1.0]])
def test_squared_error(weight: list[float] | None) -> None:
    mixed, wanted = nest(0), nest(1)
    rows = [
        sum((a[m] - b[m]).square().mean() for a, b in zip(heads_of(mixed), heads_of(wanted), strict=True))
        for m in range(B)
        if weight is None or weight[m]
    ]
    expected = torch.stack(rows).mean()  # type: ignore[arg-type]
    assert_same(squared_error(mixed, wanted, None if weight is None else torch.tensor(weight)), expected, mixed, wanted)


@pytest.mark.parametrize("name", NAMES)
def test_a_large_map_does_not_outweigh_a_scalar(name: GANLossName) -> None:
    """A map that says the same everywhere costs what one number costs, in each term."""
    loss, value = GAN_LOSSES[name], torch.linspace(-2, 2, B)
    small, large = value[:, None], value.view(B, 1, 1, 1).expand(B, 1, 32, 32)
    plan = RealFakePolicy("1", alpha=1.0).draw(B)
    one = discriminator_losses(loss, small, small, small, plan)
    other = discriminator_losses(loss, large, large, large, plan)
    both = discriminator_losses(loss, *[(small, large)] * 3, plan)
    for field in ("real", "fake", "mixed", "total"):
        torch.testing.assert_close(getattr(other, field), getattr(one, field))
        torch.testing.assert_close(getattr(both, field), 2 * getattr(one, field))
    torch.testing.assert_close(generator_loss(loss, large), generator_loss(loss, small))


def test_per_pixel_labels_of_boxes_in_a_nest() -> None:
    """Under CutMix a map takes the label of each position, a scalar next to it the share of the area."""
    loss, mixed = GAN_LOSSES["hinge"], nest(3)
    plan = RealFakePolicy("1", alpha=1.0, rule="cutmix").draw(B)
    labels = lambda head: plan.mix_labels(real_fake_labels(B), head)  # noqa: E731
    rows = []
    for m in range(B):
        total = torch.zeros((), dtype=torch.float64)
        for head in heads_of(mixed):
            y = labels(head)[m].double().expand_as(head[m])
            costs = [
                t * loss.real(v) + (1 - t) * loss.fake(v)
                for v, t in zip(head[m].reshape(-1), y.reshape(-1), strict=True)
            ]
            total = total + torch.stack(costs).mean()
        rows.append(total)
    assert_same(mixed_loss(loss, mixed, plan), torch.stack(rows).mean(), mixed)
    assert labels(mixed["fine"]).flatten(1).std(1).any(), "positions differ"
    assert labels(mixed["coarse"][1][1]).shape == (B,)


def test_reduced_precision_is_computed_in_float32() -> None:
    fake = [torch.randn(B, 1, 3, 3).bfloat16(), torch.randn(B).bfloat16()]
    got = generator_loss(GAN_LOSSES["jsgan"], fake)
    assert got.dtype == torch.float32
    assert torch.equal(got, generator_loss(GAN_LOSSES["jsgan"], [head.float() for head in fake]))


def test_heads_of_another_number_of_rows_are_refused_even_where_they_would_broadcast() -> None:
    loss = GAN_LOSSES["hinge"]
    for fake in (
        [torch.zeros(4), torch.zeros(1)],
        [torch.zeros(1, 1), torch.zeros(4, 1)],
        [torch.zeros(4), torch.zeros(())],
    ):
        with pytest.raises(ValueError, match=r"logits of \d rows have \d rows, not shape"):
            generator_loss(loss, fake)
    with pytest.raises(ValueError, match="heads of the same shapes"):
        squared_error([torch.zeros(4, 1)], [torch.zeros(4)])
    with pytest.raises(ValueError, match="no logits"):
        generator_loss(loss, [])
