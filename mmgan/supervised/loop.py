"""The classifier training loop: supervised Manifold Mixup (Section 2, Equation 1)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mmgan.config.classifier import ClassifierMixSettings, ClassifierTrainingSettings
from mmgan.data import Batches
from mmgan.data.cutout import cutout
from mmgan.draws import global_stream, torch_stream
from mmgan.losses import CLASSIFIER_LOSSES
from mmgan.mixing.policies import PermutationPolicy
from mmgan.supervised.adamix import AdaMix, adamix_step
from mmgan.training.guard import Guard, RunningStatistics, Watch
from mmgan.training.metrics import Metrics
from mmgan.training.tasks import LoopContext

Attack = Callable[..., Tensor]
"""(network, images, labels, generator=...) -> adversarial images, for adversarial training."""


@dataclass
class ClassifierParts:
    """The parts of a training, made by anybody. Training changes the network, the optimizer and `step`.

    Attributes:
        network: a `Mixed` around a network that maps images (n, c, h, w) in [-1, 1] to (n, classes) logits, or an
            `AdaMix` around one; as `accelerator.prepare` returned it.
        average: the exponential average of its weights, or None.
        optimizer: prepared.
        batches: the images and labels, by step.
        policy: draws the plans.
        classes: the number of logits.
        attack: makes the adversarial images that the network is trained on; None: it is trained on the images.
        adamix: the `AdaMix` itself where lam is learned; None: the policy draws it.
        step: the number of steps done.
    """

    network: nn.Module
    average: AveragedModel | None
    optimizer: torch.optim.Optimizer
    batches: Batches
    policy: PermutationPolicy
    classes: int
    attack: Attack | None = None
    adamix: AdaMix | None = None
    step: int = 0

    def networks(self) -> Mapping[str, nn.Module]:
        """The networks to save, by the name of their file."""
        average = {} if self.average is None else {"classifier-average": self.average}
        return (self.adamix.members() if self.adamix else {"classifier": self.network}) | average

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """The optimizers to save, by the name of their file."""
        return {"optimizer": self.optimizer}


def make_optimizer(network: nn.Module, settings: ClassifierTrainingSettings) -> torch.optim.Optimizer:
    """SGD with momentum (Appendix C); fused, because `Guard` needs it."""
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
        fused=True,
    )
    if settings.momentum:
        # The first step makes these buffers. If it is skipped they stay unset; zeros give the same first step.
        for parameter in network.parameters():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def make_policy(mix: ClassifierMixSettings) -> PermutationPolicy:
    """The policy that draws plans as the settings say; for AdaMix the pairs, with lam ~ U(0, 1)."""
    if mix.lam == "adamix":
        return PermutationPolicy(mix.mix.items, 1.0, "uniform", "example")
    return PermutationPolicy(mix.mix.items, mix.alpha, mix.lam, mix.per, mix.layer_per)


def learning_rate(step: int, steps_per_epoch: int, settings: ClassifierTrainingSettings) -> float:
    """The learning rate of the step after `step` steps."""
    if settings.lr_decay == "step":
        passed = sum(step >= epoch * steps_per_epoch for epoch in settings.drops)
        return settings.lr * settings.gamma**passed
    if settings.lr_decay == "cosine":
        return settings.lr * (1 + math.cos(math.pi * step / (settings.epochs * steps_per_epoch))) / 2
    return settings.lr


def soft_labels(labels: Int64[Tensor, " b"], classes: int, smoothing: float) -> Float[Tensor, "b classes"]:
    """One-hot rows; the share `smoothing` of each is spread evenly over all classes."""
    return F.one_hot(labels, classes).float() * (1 - smoothing) + smoothing / classes  # (b, classes)


def train_classifier(
    parts: ClassifierParts,
    settings: ClassifierTrainingSettings,
    context: LoopContext,
    *,
    validate: Callable[[int], dict[str, Any]] | None = None,
    cutout_side: int = 0,
) -> None:
    """Train from `parts.step` to `settings.epochs` epochs of `batches.steps_per_epoch` steps each.

    One epoch visits every image at least once. Where the batch size does not divide the number of images, the last
    batch of an epoch reaches into the next pass.

    Args:
        parts: the network, its optimizer and data; changed in place.
        settings: the loss, the learning rate, the number of epochs.
        context: where training runs, the seed of plans, cutout, dropout, noise and attacks, and what follows a step.
        validate: called with the step after each epoch, on every process; its result joins the step's row.
        cutout_side: side in pixels of the square that cutout greys; 0: none.

    Raises:
        TrainingFailed: if more steps than `context.skip_non_finite` have a loss or gradient that is not finite. Such
            numbers never reach a weight, the optimizer or the average.
        Stopped: as `context.check_stop`.
    """
    loss_of = CLASSIFIER_LOSSES[settings.loss]
    batches, policy = parts.batches, parts.policy
    accelerator, seed = context.accelerator, context.seed
    rank, world_size, device = accelerator.process_index, accelerator.num_processes, accelerator.device
    network = accelerator.unwrap_model(parts.network)
    classifier = network if parts.adamix is None else parts.adamix.network
    predict = network if parts.adamix is None else parts.adamix.classify
    last = settings.epochs * batches.steps_per_epoch
    guard = Guard("classifier", parts.network, parts.optimizer, accelerator, settings.clip_grad)
    statistics = RunningStatistics([network])
    watch = Watch(parts.networks(), parts.optimizers(), accelerator)
    metrics = Metrics(context, [guard], watch)

    parts.network.train()
    while parts.step < last:
        lr = learning_rate(parts.step, batches.steps_per_epoch, settings)
        for group in parts.optimizer.param_groups:
            group["lr"] = lr

        statistics.keep()

        # A batch, its images augmented or attacked.
        x, classes_of_x = batches.batch(parts.step)  # (b, c, h, w), (b,)
        assert classes_of_x is not None
        x = cutout(x, cutout_side, seed=seed, step=parts.step, rank=rank, world_size=world_size)
        if parts.attack is not None:
            x = parts.attack(predict, x, classes_of_x, generator=torch_stream(seed, "attack", rank, parts.step, device))
        y = soft_labels(classes_of_x, parts.classes, settings.label_smoothing)  # (b, classes)

        # The plans that mix the hidden states mix the labels too.
        plans = policy.draw_groups(len(x), parts.step, seed, rank, device)
        noted: dict[str, Tensor] = {}
        with global_stream(seed, "dropout", rank, parts.step):  # dropout and noise draw from the global one
            if parts.adamix is not None:
                loss, noted = adamix_step(parts.network, loss_of, x, y, plans[0], seed, rank, parts.step)
            else:
                for plan in plans:
                    y = plan.replace(y)  # (b, classes)
                logits = parts.network(x, plan=plans)  # (b, classes)
                loss = loss_of(logits.float(), y)
        guard.update(loss)
        statistics.restore(guard.skipped > 0)
        if parts.average is not None:
            parts.average.update_parameters(classifier)
        parts.step += 1

        # Metrics, tasks, and a look whether to stop.
        facts: dict[str, Any] = {
            "step": parts.step,
            "epoch": -(-parts.step // batches.steps_per_epoch),
            "images": parts.step * batches.order.batch_size,
            "layers": [plan.layer for plan in plans],
            "lr": lr,
        }
        if validate is not None and parts.step % batches.steps_per_epoch == 0:
            metrics.require_finite(parts.step)
            facts |= validate(parts.step)
        metrics.add(facts, {"loss": loss} | noted)
        metrics.finish_step(parts.step, last)
