"""Steps on the meta device, whose tensors have no values: whatever reads one, or meets a tensor of another, raises.

So a step that runs here waits for no GPU and leaves nothing on the CPU. The draws and the optimizer stay outside: torch
draws nothing there, and a fused optimizer refuses it.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, get_args

import pytest
import torch

from benchmarks.launches import launches
from mmgan.losses import GAN_LOSSES
from mmgan.mixing.rules import Rule
from mmgan.mixing.term import Target
from mmgan.regularizers import (
    BCR,
    R1,
    R2,
    ZCR,
    GradientPenalty,
    LeCam,
    diffaugment,
    step,
    zcr,
)
from tests.support.steps import CASES, make_steps, run

pytestmark = pytest.mark.slow(8)


def test_the_cases_have_everything() -> None:
    cases = CASES.values()
    assert {case.loss for case in cases} == {*GAN_LOSSES, "relativistic"}
    assert {type(term) for case in cases for term in case.terms} == {R1, R2, GradientPenalty, LeCam, BCR, ZCR}
    assert {case.rule for case in cases} == set(get_args(Rule))
    assert {case.target for case in cases} == set(get_args(Target))


@pytest.fixture(autouse=True)
def _what_meta_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch has no autocast and no generators for the meta device."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    for module in (diffaugment, step, zcr):
        monkeypatch.setattr(module, "torch_stream", lambda *_: None)


@pytest.mark.parametrize(
    ("name", "layer"),
    [*((name, "1") for name in CASES), *(("jsgan", layer) for layer in ("none", "pixel", "2")), ("classes", "pixel")],
)
def test_steps_read_no_value(name: str, layer: str) -> None:
    case = CASES[name]
    run(make_steps("meta", case), layer, "meta", case)


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


def launches_of(layer: str) -> int:
    steps = make_steps("meta")
    return launches(lambda: run(steps, layer, "meta"))


def test_mixing_adds_few_launches() -> None:
    """The layers run once for all rows, so mixing adds the gathers, the interpolation and its own loss."""
    plain = launches_of("none")  # 580 for a step of each network
    added = {layer: launches_of(layer) - plain for layer in ("pixel", "1", "2")}
    assert all(10 < count <= 45 for count in added.values()), (plain, added)
