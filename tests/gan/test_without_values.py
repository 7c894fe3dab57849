"""Steps on the meta device, whose tensors have no values: whatever reads one, or meets a tensor of another, raises.

So a step that runs here waits for no GPU and leaves nothing on the CPU. The draws and the optimizer stay outside: torch
draws nothing there, and a fused optimizer refuses it.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, cast

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmgan.config.fields import Names
from mmgan.config.gan import GanMixSettings
from mmgan.discriminators import build_discriminator
from mmgan.gan.objectives import find_loss
from mmgan.gan.steps import DiscriminatorSlice, GeneratorSlice, Steps
from mmgan.generators import build_generator
from mmgan.mixing import Mixed
from mmgan.mixing.plan import MixPlan
from mmgan.mixing.policies import RealFakePolicy
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
    diffaugment,
    step,
    zcr,
)
from mmgan.training.guard import Guard

pytestmark = pytest.mark.slow(5)

B, Z = 4, 6


class Backward:
    """A guard without an optimizer."""

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]

    update = backward


def make_steps(
    device: str, loss: str = "jsgan", terms: tuple[Regularizer, ...] = (), augment: bool = False, **mix: Any
) -> Steps:
    torch.manual_seed(0)
    g = build_generator("resnet", 16, 1, 4, Z).to(device)
    d = Mixed(build_discriminator("resnet", 16, 1, 4).to(device), "1,2,pixel", check=False)
    guard = cast(Guard, Backward())
    return Steps(
        g,
        d,
        guard,
        guard,
        find_loss(loss),
        GanMixSettings(mix=Names("1,2,pixel"), **mix),
        Regularizers(terms).to(device),
        DiffAugment("color,translation,cutout") if augment else None,
        Alone(torch.device(device)),
        seed=0,
    )


def plan_for(layer: str, device: str) -> MixPlan:
    """Drawn where there are values, and moved."""
    return RealFakePolicy(layer).draw(B, step=3).to(device)


def run(steps: Steps, layer: str, device: str) -> None:
    images, z = torch.zeros(B, 1, 16, 16, device=device), torch.zeros(B, Z, device=device)
    terms = steps.discriminator_step(0, [DiscriminatorSlice(images, z, plan_for(layer, device), 0)])
    terms += steps.generator_step(0, [GeneratorSlice(torch.zeros(2 * B, Z, device=device), images, 0)])
    for name, value in (item for found in terms for item in found.items()):
        assert value is None or value.device.type == device, name


CASES: dict[str, Callable[[], Steps]] = {
    "the paper's": lambda: make_steps("meta"),
    "hinge": lambda: make_steps("meta", "hinge"),
    "consistency": lambda: make_steps("meta", mix_target="consistency"),
    "relativistic, R1, R2": lambda: make_steps("meta", "relativistic", (R1(1), R2(1)), mix_target="consistency"),
    "gradient penalty, LeCam": lambda: make_steps("meta", "wasserstein", (GradientPenalty(10), LeCam(0.3))),
    "bCR, zCR": lambda: make_steps(
        "meta", terms=(BCR(10, DiffAugment("flip,translation")), ZCR(5, generator_weight=0.5))
    ),
    "DiffAugment": lambda: make_steps("meta", augment=True),
}


@pytest.fixture(autouse=True)
def _what_meta_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch has no autocast and no generators for the meta device."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    for module in (diffaugment, step, zcr):
        monkeypatch.setattr(module, "torch_stream", lambda *_: None)


@pytest.mark.parametrize(
    ("case", "layer"), [*((case, "1") for case in CASES), *(("the paper's", layer) for layer in ("none", "pixel", "2"))]
)
def test_steps_read_no_value(case: str, layer: str) -> None:
    run(CASES[case](), layer, "meta")


@pytest.mark.parametrize("fault", ["reads a value", "leaves a tensor on the CPU"])
def test_a_step_that_waits_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = make_steps("meta")
    block = steps.plain_d.get_submodule("model.block2")
    change: Callable[..., Any] = {
        "reads a value": lambda _, __, y: y * y.mean().item(),
        "leaves a tensor on the CPU": lambda _, __, y: y * torch.ones(y.shape[1:]),
    }[fault]
    block.register_forward_hook(change)
    with pytest.raises(RuntimeError, match="meta"):
        run(steps, "pixel", "meta")


class Launches(TorchDispatchMode):
    """Counts the operators that compute something: on a GPU, each is a launch or more."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view and not func.name().startswith(("aten::empty", "aten::detach", "aten::_unsafe_view")):
            self.counts[func.name()] += 1
        return func(*args, **(kwargs or {}))


def launches(layer: str) -> int:
    steps = make_steps("meta")
    with Launches() as counted:
        run(steps, layer, "meta")
    return counted.counts.total()


def test_mixing_adds_few_launches() -> None:
    """The layers run once for all rows, so mixing adds the gathers, the interpolation and its own loss."""
    plain = launches("none")  # 580 for a step of each network
    added = {layer: launches(layer) - plain for layer in ("pixel", "1", "2")}
    assert all(10 < count <= 45 for count in added.values()), (plain, added)
