"""All regularizers together in a step with mixing, and none."""

import pytest
import torch
from torch import nn

from mmgan import Mixed, RealFakePolicy
from mmgan.discriminators.resnet import ResNetDiscriminator
from mmgan.regularizers import BCR, R1, R2, ZCR, DiffAugment, GradientPenalty, LeCam, Regularizer, Regularizers, Step

ALL = ["r1", "r2", "gradient_penalty", "lecam", "bcr", "zcr"]


def terms(names: list[str]) -> Regularizers:
    makers = [R1(1.0), R2(1.0), GradientPenalty(1.0), LeCam(1.0), BCR(1.0), ZCR(1.0)]
    return Regularizers([term for term in makers if term.name in names])


def a_mixed_step(regularizers: Regularizers, bf16: bool = False) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Two steps with augmentation, a joint forward with mixed rows, and penalties; the second's numbers."""
    torch.manual_seed(0)
    net = Mixed(ResNetDiscriminator(16, 1, width=4), ["1", "2", "pixel"])
    g = nn.Sequential(nn.Linear(6, 256), nn.Tanh(), nn.Unflatten(1, (1, 16, 16)))
    b, augment = 6, DiffAugment()
    for t in range(2):
        latents = torch.randn(b, 6)
        real = augment(torch.rand(b, 1, 16, 16) * 2 - 1, "real", step=t)

        def make(z: torch.Tensor, t: int = t) -> torch.Tensor:
            return augment(g(z), "fake", step=t)

        with torch.no_grad():
            fake = make(latents)
        real, fake = regularizers.differentiable(t, real, fake)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            plan = RealFakePolicy(["1", "2", "pixel"]).draw(b, t)
            logits = net(torch.cat([real, fake]), plan=plan, mode="append")
            step = Step(real, fake, logits[:b], logits[b : 2 * b], net, t, generator=make, latents=latents)
            total, values = regularizers(step)
        if total.requires_grad:
            net.zero_grad()
            total.backward()
            assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())
    return total.detach(), values


@pytest.mark.parametrize("bf16", [False, True])
def test_they_combine_with_mixing_and_sum(bf16: bool) -> None:
    total, values = a_mixed_step(terms(ALL), bf16)
    assert list(values) == ALL
    assert all(value.isfinite() and value > 0 and value.dtype == torch.float32 for value in values.values())
    torch.testing.assert_close(total, torch.stack(list(values.values())).sum())


def test_none_costs_nothing() -> None:
    none = Regularizers()
    real, fake = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)
    assert all(a is b for a, b in zip(none.differentiable(0, real, fake), (real, fake), strict=True))
    total, values = none(Step(real, fake, None, None, lambda x: pytest.fail("nothing is called"), 0))
    assert total == 0
    assert not total.requires_grad
    assert values == {}
    assert not none.second_order(0)


def test_state_is_that_of_the_terms() -> None:
    both = Regularizers([R1(1.0), LeCam(1.0)])
    assert {name.split(".")[0] for name in both.state_dict()} == {"lecam"}
    assert not list(both.parameters())
    with pytest.raises(ValueError, match="r1 is given twice"):
        Regularizers([R1(1.0), R1(2.0)])


def test_ones_own_term_is_a_class_with_a_name_and_a_value() -> None:
    class Drift(Regularizer):
        name = "drift"

        def value(self, step: Step) -> torch.Tensor:
            return step.real_logits.square().mean()

    images, logits = torch.zeros(2, 1, 4, 4), torch.tensor([1.0, 3.0])
    total, values = Regularizers([Drift(0.5)])(Step(images, images, logits, logits, lambda x: x, 0))
    assert (total, values) == (2.5, {"drift": 5.0})


def test_classes_come_in_pairs() -> None:
    images = torch.zeros(2, 1, 4, 4)
    with pytest.raises(ValueError, match="both or not at all"):
        Step(images, images, None, None, lambda x: x, 0, real_classes=torch.zeros(2, dtype=torch.int64))
