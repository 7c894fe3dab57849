"""The steps of both networks, made of anything that they can be made of, for devices without values."""

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

from mmgan.config.fields import Names
from mmgan.config.gan import GanMixSettings
from mmgan.discriminators import build_discriminator
from mmgan.gan.objectives import find_loss
from mmgan.gan.steps import DiscriminatorSlice, GeneratorSlice, Steps
from mmgan.generators import build_generator
from mmgan.losses import GAN_LOSSES
from mmgan.mixing import Mixed
from mmgan.mixing.plan import MixPlan
from mmgan.mixing.policies import RealFakePolicy
from mmgan.mixing.rules import Rule
from mmgan.process.alone import Alone
from mmgan.regularizers import (
    BCR,
    R1,
    R2,
    ZCR,
    DiffAugment,
    GradientPenalty,
    LeCam,
    Regularizer,
    Regularizers,
)
from mmgan.training.guard import Guard

B, Z, CLASSES = 4, 6, 3


class Backward:
    """A guard without an optimizer."""

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]

    update = backward


@dataclass(frozen=True)
class Case:
    """What a step is made of.

    Attributes:
        loss: its name.
        terms: the regularizers.
        augment: whether images are augmented.
        target: of mixed rows.
        rule: of mixing.
        classes: whether the networks take classes.
        slices: of a step.
    """

    loss: str = "jsgan"
    terms: tuple[Regularizer, ...] = ()
    augment: bool = False
    target: Literal["paper", "fake", "consistency"] = "paper"
    rule: Rule = "linear"
    classes: bool = False
    slices: int = 1


CASES: dict[str, Case] = {
    **{loss: Case(loss) for loss in GAN_LOSSES},
    "fake": Case(target="fake"),
    "consistency": Case(target="consistency"),
    "statistics": Case(rule="statistics"),
    "cutmix": Case(rule="cutmix"),
    "relativistic, R1, R2": Case("relativistic", (R1(1), R2(1)), target="consistency"),
    "gradient penalty, LeCam": Case("wasserstein", (GradientPenalty(10), LeCam(0.3))),
    "bCR, zCR": Case(terms=(BCR(10, DiffAugment("flip,translation")), ZCR(5, generator_weight=0.5))),
    "DiffAugment": Case(augment=True),
    "classes": Case(classes=True),
    "slices": Case(slices=2),
    "many at once": Case(
        "hinge", (R1(1), GradientPenalty(1), LeCam(0.3), BCR(10, DiffAugment("translation")), ZCR(5)), True, "fake",
        classes=True, slices=2,
    ),
}  # fmt: skip


def make_steps(device: str, case: Case = Case()) -> Steps:
    torch.manual_seed(0)
    classes = CLASSES if case.classes else None
    with torch.device(device):
        g = build_generator("resnet", 16, 1, 4, Z, classes=classes)
        d = Mixed(build_discriminator("resnet", 16, 1, 4, classes=classes), "1,2,pixel", check=False)
        regularizers = Regularizers(case.terms).to(device)
    guard = cast(Guard, Backward())
    return Steps(
        g,
        d,
        guard,
        guard,
        find_loss(case.loss),
        GanMixSettings(mix=Names("1,2,pixel"), mix_target=case.target),
        regularizers,
        DiffAugment("color,translation,cutout") if case.augment else None,
        Alone(torch.device(device)),
        seed=0,
    )


def plan_for(layer: str, device: str, case: Case) -> MixPlan:
    """Drawn where there are values, and moved."""
    within = torch.arange(2 * B) % CLASSES if case.classes else None
    return RealFakePolicy(layer, rule=case.rule).draw(B, step=3, within=within).to(device)


def run(steps: Steps, layer: str, device: str, case: Case = Case()) -> None:
    images, z = torch.zeros(B, 1, 16, 16, device=device), torch.zeros(B, Z, device=device)
    classes = torch.zeros(B, dtype=torch.int64, device=device) if case.classes else None
    work_d = [DiscriminatorSlice(images, z, plan_for(layer, device, case), s, classes) for s in range(case.slices)]
    work_g = [GeneratorSlice(torch.zeros(2 * B, Z, device=device), images, s, classes) for s in range(case.slices)]
    terms = steps.discriminator_step(0, work_d) + steps.generator_step(0, work_g)
    for name, value in (item for found in terms for item in found.items()):
        assert value is None or value.device.type == device, name
