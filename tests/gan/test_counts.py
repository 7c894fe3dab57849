"""What a training step does, counted: forwards, reads from the device, tensors kept."""

import gc
from collections import Counter
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmgan.config.fields import Names
from mmgan.config.gan import GanMixSettings, GanTrainingSettings
from mmgan.data import make_batches, make_images
from mmgan.discriminators import build_discriminator
from mmgan.gan import loop
from mmgan.gan.loop import GanParts, make_optimizer, make_policy, train_gan
from mmgan.generators import build_generator
from mmgan.mixing import Mixed, MixPlan
from mmgan.training.guard import Watch
from mmgan.training.tasks import LoopContext, Task

B, N_DIS = 4, 3
PIXELS = torch.randint(0, 256, (16, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
MIX = GanMixSettings(mix=Names("1,2,pixel"))
BATCHES = make_batches(make_images("random", "train", PIXELS), B, seed=0)


def train(state: GanParts, steps: int, log_every: int = 10**9, tasks: tuple[Task, ...] = ()) -> None:
    settings = GanTrainingSettings(steps=steps, n_dis=N_DIS, batch_size=B)
    train_gan(state, MIX, settings, LoopContext(Accelerator(cpu=True), log_every=log_every, tasks=tasks))


@pytest.fixture
def state() -> GanParts:
    torch.manual_seed(0)
    g, d = build_generator("resnet", 16, 1, 4, 6), Mixed(build_discriminator("resnet", 16, 1, 4), "1,2,pixel")
    d.check(torch.randn(8, 1, 16, 16))  # the look has forwards and reads of its own, before training
    settings = GanTrainingSettings()
    optimizers = make_optimizer(g, settings), make_optimizer(d, settings)
    return GanParts(g, d, None, *optimizers, BATCHES, make_policy(MIX), latent_dim=6)


class Reads(TorchDispatchMode):
    """Notes the steps in which the host waits for a device: for numbers, and for masks whose size is read."""

    WAIT = ("aten::_local_scalar_dense", "aten::item", "aten::nonzero", "aten::masked_select", "aten::equal")

    def __init__(self, state: GanParts) -> None:
        super().__init__()
        self.state = state
        self.steps: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name in self.WAIT:
            self.steps.add(self.state.step)
        return func(*args, **(kwargs or {}))


def test_no_step_reads_from_the_device_but_those_that_hand_on_metrics(
    state: GanParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[int] = []
    for name in ("cpu", "numpy", "tolist"):
        method = getattr(Tensor, name)
        monkeypatch.setattr(
            Tensor, name, lambda self, *a, _method=method, **kw: (copies.append(state.step), _method(self, *a, **kw))[1]
        )
    monkeypatch.setattr(
        MixPlan, "__post_init__", lambda plan: None
    )  # it reads rows on a CPU alone, which waits for none
    train(state, 1)
    copies.clear()
    reads = Reads(state)

    def before_training(*arguments: Any) -> Watch:
        watch = Watch(*arguments)  # it looks at masks once
        reads.steps.clear()
        return watch

    monkeypatch.setattr(loop, "Watch", before_training)
    with reads:
        train(state, 9, log_every=4)
    assert set(copies) == {4, 8, 9}, "the steps after which metrics are read, and the last one"
    assert reads.steps == {4, 8, 9}


def test_an_iteration_takes_one_forward_of_each_network_a_step(state: GanParts) -> None:
    calls: Counter[str] = Counter()
    state.generator.register_forward_hook(lambda *a: calls.update(["g"]))
    state.discriminator.model.register_forward_hook(lambda *a: calls.update(["d"]))
    norms = [m for m in state.discriminator.modules() if type(m).__name__ == "_SpectralNorm"]
    for norm in norms:
        norm.register_forward_hook(lambda *a: calls.update(["spectral norm"]))
    train(state, 2)
    assert calls == {"g": 2 * (N_DIS + 1), "d": 2 * (N_DIS + 1), "spectral norm": 2 * (N_DIS + 1) * len(norms)}


def test_the_discriminator_has_no_gradients_of_its_own_in_the_generators_step(state: GanParts) -> None:
    needs: list[set[bool]] = []
    parameters = list(state.discriminator.parameters())
    state.discriminator.model.register_forward_pre_hook(lambda *a: needs.append({p.requires_grad for p in parameters}))
    train(state, 1)
    assert needs == [{True}] * N_DIS + [{False}]


@pytest.mark.slow(3)
def test_no_tensor_is_kept_from_step_to_step(state: GanParts) -> None:
    counts: list[int] = []

    def count(step: int) -> None:
        gc.collect()
        counts.append(sum(issubclass(type(thing), Tensor) for thing in gc.get_objects()))

    train(state, 6, tasks=(Task(count, 1),))  # a task is due after each step, so that the metrics are handed on too
    assert len(set(counts[1:])) == 1
