"""The training loop of the small experiments: everything in memory, one device, any network, any examples."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from mmgan.data.order import Order
from mmgan.draws import global_stream
from mmgan.errors import TrainingFailed
from mmgan.losses import soft_cross_entropy
from mmgan.mixing import Mixed
from mmgan.mixing.policies import PermutationPolicy

CHUNK = 1000
"""Rows per forward when a network is measured."""


@dataclass(frozen=True)
class Fit:
    """Settings of a fit."""

    steps: int  # of Adam
    layers: str = "none"  # to mix at, as `Mixed` names them; "none" for no mixing
    alpha: float = 2.0  # lam ~ Beta(alpha, alpha), one per batch
    batch_size: int = 0  # examples per step; 0: all
    lr: float = 1e-3  # learning rate; it falls to 0 along a cosine
    weight_decay: float = 0.0  # L2 penalty, added to the gradient


def fit(
    network: nn.Module,
    x: Float[Tensor, "n ..."],
    labels: Int64[Tensor, " n"],
    classes: int,
    settings: Fit,
    seed: int,
    check: bool = True,
) -> list[float]:
    """Train `network` in place by soft cross-entropy, with or without Manifold Mixup (Equation 1).

    Args:
        network: examples (b, ...) -> logits (b, classes).
        x: all training examples.
        labels: their classes.
        classes: number of logits.
        settings: see `Fit`.
        seed: of order, plans, dropout and noise.
        check: refuse layers that are no cuts; False to mix only a part of the hidden state on purpose.

    Returns:
        The training loss of every step.

    Raises:
        TrainingFailed: if the loss is not finite.
        UserError: if a layer does not exist in the network.
    """
    mixed = Mixed(network, settings.layers, check=check)
    policy = PermutationPolicy(settings.layers, settings.alpha)
    order = Order(len(x), settings.batch_size or len(x), seed=seed)
    optimizer = torch.optim.Adam(network.parameters(), settings.lr, weight_decay=settings.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    one_hot = F.one_hot(labels, classes).float()  # (n, classes)
    losses = []
    network.train()
    for step in range(settings.steps):
        rows = order.indices(step).to(x.device)
        plan = policy.draw(len(rows), step=step, seed=seed, device=x.device)
        with global_stream(seed, "dropout", step=step):  # dropout and noise take no generator of their own
            logits = mixed(x[rows], plan=plan)  # (b, classes)
        loss = soft_cross_entropy(logits, plan.replace(one_hot[rows]))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    network.eval()
    history = torch.stack(losses)  # (steps,)
    if not history.isfinite().all():
        raise TrainingFailed(f"the training loss is not finite with {settings}: choose a smaller learning rate")
    return [float(loss) for loss in history]


def logits_of(network: nn.Module, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n classes"]:
    """The network's logits for all rows, without gradients."""
    with torch.no_grad():
        return torch.cat([network(part) for part in torch.split(x, CHUNK)])
