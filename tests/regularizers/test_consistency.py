"""bCR and zCR against their formulas, written out by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor

from mmgan.draws import torch_stream
from mmgan.regularizers import BCR, ZCR, DiffAugment, Step

B = 4
WEIGHT = torch.arange(1.0, 13).view(1, 3, 2, 2).double() / 10


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


REAL, FAKE, LATENTS = draw(B, 3, 2, 2, seed=0), draw(B, 3, 2, 2, seed=1), draw(B, 5, seed=2)


def d(x: Tensor) -> Tensor:
    return (x * WEIGHT).sum((1, 2, 3)).sin()  # (n,)


def a_step(discriminator: Any = d, **more: Any) -> Step:
    real_logits, fake_logits = discriminator(REAL), discriminator(FAKE)
    return Step(REAL, FAKE, real_logits, fake_logits, discriminator, **{"number": 3, **more})


def test_bcr_by_hand() -> None:
    def augment(x: Tensor, rows: str, *, step: int, seed: int, rank: int) -> Tensor:
        calls.append((rows, step, seed, rank))
        return x.flip(3) if rows == "bcr real" else 2 * x

    calls: list[tuple[str, int, int, int]] = []
    got = BCR(10.0, augment)(a_step(seed=5, rank=6))
    real = sum((d(x[None]).item() - d(x.flip(2)[None]).item()) ** 2 for x in REAL) / B
    fake = sum((d(x[None]).item() - d(2 * x[None]).item()) ** 2 for x in FAKE) / B
    assert got.item() == pytest.approx(10 * (real + fake))
    assert calls == [("bcr real", 3, 5, 6), ("bcr fake", 3, 5, 6)]


def test_bcr_draws_its_flips_and_shifts_by_the_steps_names() -> None:
    def value(**names: int) -> float:
        return BCR(1.0).value(a_step(**names)).item()

    augment = DiffAugment("flip,translation")
    sides = ((REAL, "bcr real"), (FAKE, "bcr fake"))
    wanted = sum((d(x) - d(augment(x, rows, step=3, seed=1))).square().mean() for x, rows in sides)
    assert value(seed=1) == pytest.approx(float(wanted))
    assert value(seed=1) == value(seed=1)
    assert len({value(seed=seed, number=t) for seed in (1, 2) for t in (3, 4)}) > 1


def test_bcr_of_nests_and_with_classes() -> None:
    def augment(x: Tensor, rows: str, **names: int) -> Tensor:
        return 2 * x

    def nest(x: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return d(x) * y, {"map": x[:, :1]}

    y, z = torch.arange(B), torch.arange(B).flip(0)
    step = Step(REAL, FAKE, nest(REAL, y), nest(FAKE, z), nest, 0, real_classes=y, fake_classes=z)
    wanted = sum(
        ((d(x) - d(2 * x)) * classes).square().mean() + x[:, 0].square().mean() for x, classes in ((REAL, y), (FAKE, z))
    )
    torch.testing.assert_close(BCR(1.0, augment).value(step), wanted)


def g(z: Tensor) -> Tensor:
    return torch.cat([z, z.square(), z[:, :2]], 1).view(-1, 3, 2, 2)


def near(purpose: str, step: int, seed: int, rank: int, noise: float) -> Tensor:
    generator = torch_stream(seed, purpose, rank, step)
    return LATENTS + noise * torch.randn(B, 5, generator=generator, dtype=torch.float64)


def test_zcr_by_hand() -> None:
    zcr = ZCR(5.0, generator_weight=0.5, noise=0.07)
    more = {"number": 3, "seed": 1, "rank": 2}
    step = Step(REAL, g(LATENTS), d(REAL), d(g(LATENTS)), d, generator=g, latents=LATENTS, **more)  # type: ignore[arg-type]
    moved = g(near("zcr", 3, 1, 2, 0.07))
    torch.testing.assert_close(zcr(step), 5 * (d(g(LATENTS)) - d(moved)).square().mean())

    z = LATENTS.clone().requires_grad_()
    term = zcr.of_generator(g(z), g, z, step=3, seed=1, rank=2)
    moved = g(near("zcr of g", 3, 1, 2, 0.07))
    torch.testing.assert_close(term, -0.5 * (g(z) - moved).square().mean())
    assert term < 0
    term.backward()
    assert z.grad is not None
    with pytest.raises(ValueError, match="latents"):
        zcr(a_step())


def test_zcr_gives_the_generator_no_gradient_and_the_discriminator_one() -> None:
    scale, weight = torch.ones((), requires_grad=True), torch.ones((), requires_grad=True)

    def generator(z: Tensor) -> Tensor:
        return g(z) * scale

    def discriminator(x: Tensor) -> Tensor:
        return d(x) * weight

    fake = g(LATENTS)
    step = Step(REAL, fake, None, discriminator(fake), discriminator, 0, generator=generator, latents=LATENTS)
    ZCR(5.0)(step).backward()
    assert scale.grad is None
    assert weight.grad is not None
    assert weight.grad > 0


def test_settings_out_of_range_are_refused() -> None:
    for bad in ({"weight": 0.0}, {"weight": 1.0, "noise": 0.0}, {"weight": 1.0, "generator_weight": -1.0}):
        with pytest.raises(ValueError, match="of zcr must be"):
            ZCR(**bad)
    with pytest.raises(ValueError, match="every 1 or more"):
        BCR(1.0, every=0)
