"""The classifier training loop: supervised Manifold Mixup (Section 2, Equation 1)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mmgan.config.classifier import ClassifierMixSettings, ClassifierTrainingSettings
from mmgan.data import Batches
from mmgan.data.cutout import cutout
from mmgan.draws import global_stream, torch_stream
from mmgan.errors import Stopped
from mmgan.losses import CLASSIFIER_LOSSES
from mmgan.mixing.policies import PermutationPolicy
from mmgan.training.guard import Guard, RunningStatistics
from mmgan.training.metrics import Metrics
from mmgan.training.tasks import Task, run_due

Attack = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]
"""(network, images, labels, generator) -> adversarial images; adversarial training is handed one."""


@dataclass
class ClassifierState:
    """All that training changes.

    Attributes:
        network: a `Mixed`, as `accelerator.prepare` returned it.
        average: the exponential average of its weights, or None.
        optimizer: prepared.
        step: steps done.
    """

    network: nn.Module
    average: AveragedModel | None
    optimizer: torch.optim.Optimizer
    step: int = 0


def make_optimizer(network: nn.Module, settings: ClassifierTrainingSettings) -> torch.optim.Optimizer:
    """SGD with momentum (Appendix C); fused, as `Guard` needs it."""
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
        fused=True,
    )
    if settings.momentum:
        # A first step that is left out would leave the buffers that it makes unset; from zeros it gives the same.
        for parameter in network.parameters():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def make_policy(mix: ClassifierMixSettings) -> PermutationPolicy:
    """The law of the plans that the settings describe."""
    return PermutationPolicy(mix.mix.items, mix.alpha, mix.lam, mix.per, mix.layer_per)


def learning_rate(step: int, steps_per_epoch: int, settings: ClassifierTrainingSettings) -> float:
    """The learning rate of the step that follows `step` steps."""
    if settings.lr_decay == "step":
        passed = sum(step >= epoch * steps_per_epoch for epoch in settings.drops)
        return settings.lr * settings.gamma**passed
    if settings.lr_decay == "cosine":
        return settings.lr * (1 + math.cos(math.pi * step / (settings.epochs * steps_per_epoch))) / 2
    return settings.lr


def soft_labels(labels: Int64[Tensor, " b"], classes: int, smoothing: float) -> Float[Tensor, "b classes"]:
    """One-hot rows, of which the share `smoothing` is spread evenly over all classes."""
    return F.one_hot(labels, classes).float() * (1 - smoothing) + smoothing / classes  # (b, classes)


def train_classifier(
    state: ClassifierState,
    batches: Batches,
    mix: ClassifierMixSettings,
    settings: ClassifierTrainingSettings,
    *,
    classes: int,
    seed: int,
    accelerator: Accelerator,
    log_every: int,
    on_metrics: Callable[[list[dict[str, Any]]], None],
    tasks: Sequence[Task],
    validate: Callable[[int], dict[str, float]] | None = None,
    cutout_side: int = 0,
    attack: Attack | None = None,
    skip_non_finite: int = 0,
    check_stop: Callable[[], None] = lambda: None,
) -> None:
    """Train from `state.step` to `settings.epochs` epochs of `batches.steps_per_epoch` steps each.

    An epoch is so many steps that every image is seen at least once; where the batch size does not divide the number
    of images, its last batch reaches over into the next pass.

    Args:
        state: changed in place.
        batches: images in [-1, 1] and their labels, by step.
        classes: number of logits.
        seed: of plans, cutout, dropout, noise and attacks; `batches` has its own.
        on_metrics: gets the rows of the steps since its last call, on every process.
        tasks: run after a step when due, in order, on every process.
        validate: called with the step after each epoch, on every process; what it returns joins the step's row.
        cutout_side: of the square that cutout puts, in pixels; 0: none.
        attack: makes the adversarial images that are trained on; None: the images themselves.
        skip_non_finite: how many steps may be skipped because of losses or gradients that are not finite.
        check_stop: called after each step but the last, on every process; ends training by raising `Stopped`.

    Raises:
        TrainingFailed: if the loss or gradient is not finite once more than may be skipped. What is not finite never
            reaches a weight, the optimizer or the average.
    """
    loss_of = CLASSIFIER_LOSSES[settings.loss]
    policy = make_policy(mix)
    rank, world_size, device = accelerator.process_index, accelerator.num_processes, accelerator.device
    network = accelerator.unwrap_model(state.network)
    last = settings.epochs * batches.steps_per_epoch
    guard = Guard("classifier", state.network, state.optimizer, accelerator, settings.clip_grad)
    statistics = RunningStatistics([network])
    metrics = Metrics(accelerator, [guard], on_metrics, skip_non_finite)

    state.network.train()
    while state.step < last:
        lr = learning_rate(state.step, batches.steps_per_epoch, settings)
        for group in state.optimizer.param_groups:
            group["lr"] = lr

        statistics.keep()

        # The batch, and what is done to its images.
        x, classes_of_x = batches.batch(state.step)  # (b, c, h, w), (b,)
        assert classes_of_x is not None
        x = cutout(x, cutout_side, seed=seed, step=state.step, rank=rank, world_size=world_size)
        if attack is not None:
            x = attack(network, x, classes_of_x, torch_stream(seed, "attack", rank, state.step, device))
        y = soft_labels(classes_of_x, classes, settings.label_smoothing)  # (b, classes)

        # Labels are mixed by the plans that mix the hidden states.
        plans = policy.draw_groups(len(x), state.step, seed, rank, device)
        for plan in plans:
            y = plan.replace(y)  # (b, classes)
        with global_stream(seed, "dropout", rank, state.step):  # dropout and noise take no generator of their own
            logits = state.network(x, *plans)  # (b, classes)
        loss = loss_of(logits.float(), y)
        guard.update(loss)
        statistics.restore(guard.skipped > 0)
        if state.average is not None:
            state.average.update_parameters(network)
        state.step += 1

        # Everything else.
        facts: dict[str, Any] = {
            "step": state.step,
            "epoch": -(-state.step // batches.steps_per_epoch),
            "images": state.step * batches.order.batch_size,
            "layers": [plan.layer for plan in plans],
            "lr": lr,
        }
        if validate is not None and state.step % batches.steps_per_epoch == 0:
            facts |= validate(state.step)
        metrics.add(facts, {"loss": loss})
        due = any(task.due(state.step, last) for task in tasks)
        if due or state.step % log_every == 0 or state.step == last:
            metrics.flush()
        run_due(tasks, state.step, last)
        if state.step < last:
            try:
                check_stop()
            except Stopped:
                metrics.flush()  # whoever catches it saves
                raise
