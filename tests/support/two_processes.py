"""Run by tests/mixing/test_ddp.py as two processes: the gradients of mixed steps, written by rank 0.

Each of two processes holds its own rows and draws its own pairs; `train` without a rank is one process that holds the
rows of both, stacked, and the plans of both ranks, shifted to where the rows lie.
"""

from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from mmgan import Mixed, MixPlan, MixupTerm, PermutationPolicy, RealFakePolicy
from mmgan.mixing.verdict import MODES, Mode

B, WORLD = 4, 2  # rows a process
LAYERS = "pixel,0,2"


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 2)).double()


def rows_of(rank: int) -> Tensor:
    return torch.randn(2 * B, 5, generator=torch.Generator().manual_seed(100 + rank), dtype=torch.float64)


def plan_of(mode: Mode, step: int, rank: int) -> MixPlan:
    if mode != "replace":
        return RealFakePolicy(LAYERS, alpha=1.0).draw(B, step, rank=rank)
    return PermutationPolicy(LAYERS, per="example").draw(2 * B, step, rank=rank)


def joined(plans: list[MixPlan]) -> MixPlan:
    assert len({plan.layer for plan in plans}) == 1, "the layer is drawn without the rank"
    left, right = (
        torch.cat([getattr(plan, side) + 2 * B * rank for rank, plan in enumerate(plans)]) for side in ("left", "right")
    )
    return MixPlan(plans[0].layer, left, right, torch.cat([plan.lam for plan in plans]), parts=(2 * B * WORLD,))


def term_of(net: nn.Module, step: int, rows_from: int, rank: int | None) -> Tensor:
    """The mixup term of one rank's rows; without a rank it finds its own."""
    real, fake = rows_of(rows_from).chunk(2)
    return MixupTerm(net, RealFakePolicy(LAYERS, alpha=1.0), "hinge", rank=rank)(real, fake, step=step)


def train(net: nn.Module, rank: int | None, backward: Callable[[Tensor], None]) -> dict[str, Tensor]:
    """The gradients of every step, and the weights after the last."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    found: dict[str, Tensor] = {}
    for step in range(9):
        mode = MODES[step % 3]
        if rank is None:
            x = torch.cat([rows_of(r) for r in range(WORLD)])
            plan = joined([plan_of(mode, step, r) for r in range(WORLD)])
        else:
            x, plan = rows_of(rank), plan_of(mode, step, rank)
        if mode == "alone":  # a loop of somebody's own, with forwards of its own next to the term
            ranks = [(r, r) for r in range(WORLD)] if rank is None else [(rank, None)]
            terms = [term_of(net, step, rows_from, given) for rows_from, given in ranks]
            loss = net(x).square().mean() + torch.stack(terms).mean()
        else:
            loss = net(x, plan=plan, mode=mode).square().mean()
        backward(loss)  # ranks have as many rows: the mean of means is the mean
        for i, p in enumerate(net.parameters()):
            assert p.grad is not None
            found[f"step {step}, layer {plan.layer}, {mode}, parameter {i}"] = p.grad.clone()
        optimizer.step()
        optimizer.zero_grad()
    return found | {f"weight {i}": p.detach().clone() for i, p in enumerate(net.parameters())}


def main(argv: list[str]) -> None:
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == WORLD, accelerator.num_processes
    net = Mixed(network(), LAYERS)
    net.check(rows_of(0))
    net = accelerator.prepare(net)
    found = train(net, accelerator.process_index, accelerator.backward)
    if accelerator.is_main_process:
        torch.save({"found": found, "keys": list(accelerator.get_state_dict(net))}, argv[0])
    accelerator.wait_for_everyone()  # so that no process takes its connections down under another
    accelerator.end_training()
