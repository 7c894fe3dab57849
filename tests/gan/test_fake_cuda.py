"""Draws and forwards of a step on CUDA tensors that have no memory, so that no GPU is needed.

A tensor on the CPU next to one on the GPU raises, and so does reading a value. A copy to the GPU that would wait for
it is noticed too. The backward needs a device: `test_without_values.py` has it.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mmgan.data import make_batches, make_images
from mmgan.data.cutout import cutout
from mmgan.gan.steps import DiscriminatorSlice, GeneratorSlice, Steps
from mmgan.mixing.policies import RealFakePolicy
from mmgan.regularizers import diffaugment, step, zcr
from tests.support.steps import CASES, CLASSES, B, Case, Z, make_steps

pytestmark = pytest.mark.slow(4)

CUDA = "cuda"
IMAGES = make_images(
    "zeros", "train", torch.zeros(3 * B, 1, 16, 16, dtype=torch.uint8), torch.arange(3 * B) % CLASSES, tuple("abc")
)
FIRST_ORDER = [
    name for name, case in CASES.items() if not any(term.second_order for term in case.terms) and case.slices == 1
]


class Waits(TorchDispatchMode):
    """Refuses a copy between devices for which the host would wait."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket is torch.ops.aten._to_copy and out.device != args[0].device:
            assert (kwargs or {}).get("non_blocking"), f"the host waits for a copy of {args[0]}"
        return out


@pytest.fixture(autouse=True)
def _fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without a GPU torch pins no memory, has no generators of CUDA and warns about its autocast."""
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: self)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    for module in (diffaugment, step, zcr):
        monkeypatch.setattr(module, "torch_stream", lambda *_: None)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def forwards(steps: Steps, layer: str, case: Case) -> None:
    """Draw and run both steps, each up to its backward."""
    batches = make_batches(IMAGES, B, seed=0, device=CUDA, flip=True, crop_padding=2)
    latents, more = torch.zeros(B, Z, device=CUDA), torch.zeros(2 * B, Z, device=CUDA)
    with Waits():
        real, y = batches.batch(0)
        real, classes = cutout(real, 4, seed=0, step=0), y if case.classes else None
        within = None if classes is None else torch.cat([classes, classes])
        plan = RealFakePolicy(layer, rule=case.rule).draw(B, step=3, device=CUDA, within=within)
        terms = steps.discriminator_step(0, [DiscriminatorSlice(real, latents, plan, 0, classes)])
        terms += steps.generator_step(0, [GeneratorSlice(more, real, 0, classes)])
    for name, value in (item for found in terms for item in found.items()):
        assert value is None or value.device.type == CUDA, name


def make(name: str, monkeypatch: pytest.MonkeyPatch) -> Steps:
    steps = make_steps(CUDA, CASES[name])
    for guard in (steps.guard_d, steps.guard_g):
        monkeypatch.setattr(type(guard), "update", lambda self, loss: None)
    return steps


@pytest.mark.parametrize(
    ("name", "layer"), [*((name, "1") for name in FIRST_ORDER), *(("jsgan", layer) for layer in ("none", "pixel", "2"))]
)
def test_nothing_waits_for_the_gpu_or_stays_on_the_cpu(name: str, layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forwards(make(name, monkeypatch), layer, CASES[name])


@pytest.mark.parametrize("fault", ["reads a value", "leaves a tensor on the CPU", "waits for a copy"])
def test_a_step_that_waits_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = make("jsgan", monkeypatch)
    change: Callable[..., Any] = {
        "reads a value": lambda _, __, y: y * y.mean().item(),
        "leaves a tensor on the CPU": lambda _, __, y: y * torch.ones(y.shape[1:]),
        "waits for a copy": lambda _, __, y: y * torch.ones(y.shape[1:]).to(y.device),
    }[fault]
    steps.plain_d.get_submodule("model.block2").register_forward_hook(change)
    errors = {
        "reads a value": "_local_scalar_dense",
        "leaves a tensor on the CPU": "two devices, cuda:0 and cpu",
        "waits for a copy": "the host waits for a copy",
    }
    with pytest.raises(Exception, match=errors[fault]):
        forwards(steps, "pixel", CASES["jsgan"])
