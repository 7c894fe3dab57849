"""Run by tests/supervised/test_adamix.py as two processes: the gradients of AdaMix's steps, written by rank 0."""

from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from mmgan import Mixed, PermutationPolicy
from mmgan.classifiers import MLP
from mmgan.losses import soft_cross_entropy
from mmgan.supervised.adamix import (
    HIDDEN,
    AdaMix,
    IntrusionDiscriminator,
    PolicyRegionGenerator,
    WithFeatures,
    adamix_step,
)

B, WORLD, CLASSES = 5, 2, 3
LAYERS = "pixel,1"


def networks() -> AdaMix:
    torch.manual_seed(1)
    mixed = Mixed(WithFeatures(MLP(12, CLASSES, (6, 5))), LAYERS)
    mixed.check(torch.zeros(B + B // 2, 1, 3, 4))
    made = AdaMix(mixed, PolicyRegionGenerator(MLP(12, HIDDEN, (4,))), IntrusionDiscriminator(5, CLASSES))
    return made.double().train()


def step_of(made: nn.Module, step: int, rank: int) -> Tensor:
    """The loss of one rank's rows."""
    generator = torch.Generator().manual_seed(100 * step + rank)
    x = torch.rand(B, 1, 3, 4, generator=generator, dtype=torch.float64) * 2 - 1
    y = torch.eye(CLASSES, dtype=torch.float64)[torch.arange(B) % CLASSES]
    drawn = PermutationPolicy(LAYERS, 1.0, "uniform", "example").draw(B, step, 0, rank)
    return adamix_step(made, soft_cross_entropy, x, y, drawn, 0, rank, step)[0]


def gradients(
    loss_of: Callable[[Any, int], Tensor],
    prepare: Callable[[Any], Any] = lambda made: made,
    backward: Callable[[Tensor], Any] = lambda loss: loss.backward(),  # type: ignore[no-untyped-call]
) -> dict[str, Tensor]:
    """The gradients of three steps, and the weights after the last."""
    made = networks()
    optimizer, called = torch.optim.SGD(made.parameters(), lr=0.1), prepare(made)
    found: dict[str, Tensor] = {}
    for step in range(3):
        backward(loss_of(called, step))
        for name, p in made.named_parameters():
            assert p.grad is not None, name
            found[f"step {step}, {name}"] = p.grad.clone()
        optimizer.step()
        optimizer.zero_grad()
    return found | {name: p.detach().clone() for name, p in made.named_parameters()}


def main(argv: list[str]) -> None:
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == WORLD
    rank = accelerator.process_index
    found = gradients(lambda made, step: step_of(made, step, rank), accelerator.prepare, accelerator.backward)
    if accelerator.is_main_process:
        torch.save(found, argv[0])
    accelerator.wait_for_everyone()
    accelerator.end_training()
