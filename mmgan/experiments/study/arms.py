"""What is compared, and the four settings that each arm is searched over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mmgan.sweeps.definition import Settings

NONE, PIXEL, MIX = "none", "mix pixel", "mix 1,2,pixel"
R1, DIFFAUGMENT, BOTH = "R1", "DiffAugment", "mix 1,2,pixel + DiffAugment"
LECAM, PENALTY, CONSISTENCY, CUTMIX = "LeCam", "gradient penalty", "mix 1,2,pixel, consistency", "mix pixel, CutMix"
PLAIN, PLAIN_MIX = "no spectral norm", "no spectral norm, mix 1,2,pixel"


@dataclass(frozen=True)
class Arm:
    """One way to regularize the host's discriminator.

    Attributes:
        settings: that every run of the arm has.
        weights: two values of what sets its strength; empty where there is nothing to weigh.
        step_cost: multiply-adds of a discriminator's step over those without a regularizer, counted.
        paper: what the paper claims of its FD against no mixing; "" where it claims nothing.
        against: the arm that it is compared with.
        first: whether it belongs to the arms that are run before all others.
    """

    settings: Settings
    weights: Sequence[Settings] = ()
    step_cost: float = 1.0
    paper: str = ""
    against: str = NONE
    first: bool = True


PAPER = "lower (Appendix E)"
MIXED: Settings = {"mix": "1,2,pixel"}
MIX_WEIGHTS: Sequence[Settings] = ({"mix_weight": 1.0}, {"mix_weight": 0.3})
POLICIES: Sequence[Settings] = ({"diffaugment": "color,translation,cutout"}, {"diffaugment": "translation,cutout"})

ARMS: Mapping[str, Arm] = {
    NONE: Arm({"mix": "none"}),
    PIXEL: Arm({"mix": "pixel"}, MIX_WEIGHTS, 1.5, PAPER),
    MIX: Arm(MIXED, MIX_WEIGHTS, 1.26, PAPER),
    R1: Arm({"mix": "none"}, ({"r1": 10.0}, {"r1": 1.0}), 2.03),
    DIFFAUGMENT: Arm({"mix": "none"}, POLICIES),
    # The stronger policy at both weights of mixing, so that this arm has four runs too.
    BOTH: Arm({**MIXED, **POLICIES[0]}, MIX_WEIGHTS, 1.26),
    LECAM: Arm({"mix": "none"}, ({"lecam": 0.3}, {"lecam": 0.1}), first=False),
    PENALTY: Arm(
        {"mix": "none"},
        ({"gradient_penalty": 10.0}, {"gradient_penalty": 1.0}),
        2.03,
        first=False,
    ),
    CONSISTENCY: Arm({**MIXED, "mix_target": "consistency"}, MIX_WEIGHTS, 1.26, first=False),
    CUTMIX: Arm({"mix": "pixel", "mix_rule": "cutmix"}, MIX_WEIGHTS, 1.5, first=False),
    PLAIN: Arm({"mix": "none", "spectral": "none"}, first=False),
    PLAIN_MIX: Arm({**MIXED, "spectral": "none"}, MIX_WEIGHTS, 1.26, against=PLAIN, first=False),
}

ALSO = ((BOTH, DIFFAUGMENT), (MIX, DIFFAUGMENT), (MIX, R1))
"""Pairs of arms that are compared besides each with its `against`."""

TRIES = 4
"""Runs of each arm's search at each number of images."""


@dataclass(frozen=True)
class Rates:
    """Learning rates of the search.

    Attributes:
        two: with each of an arm's two weights.
        more: also for an arm without a weight, so that it has as many tries.
    """

    two: tuple[float, float]
    more: tuple[float, float] = field(default=(0.0, 0.0))


def candidates(arm: Arm, rates: Rates) -> list[Settings]:
    """The `TRIES` settings of an arm's search."""
    if not arm.weights:
        return [{**arm.settings, "lr": lr} for lr in (*rates.two, *rates.more)]
    return [{**arm.settings, **weight, "lr": lr} for weight in arm.weights for lr in rates.two]
