"""The GAN training loop: a discriminator regularised by Manifold Mixup (Appendix E, Equation 6), and its generator."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mmgan.config.gan import GanMixSettings, GanTrainingSettings
from mmgan.data import Batches
from mmgan.draws import torch_stream
from mmgan.errors import Stopped
from mmgan.losses import GAN_LOSSES, GANLoss, discriminator_losses
from mmgan.mixing.plan import MixPlan
from mmgan.mixing.policies import RealFakePolicy, real_fake_labels
from mmgan.training.guard import Guard, RunningStatistics
from mmgan.training.metrics import Metrics
from mmgan.training.tasks import Task, run_due


@dataclass
class GanState:
    """All that training changes.

    Attributes:
        generator, discriminator: as `accelerator.prepare` returned them; the discriminator is a `Mixed`.
        average: the generator's exponential average, or None.
        opt_g, opt_d: their optimizers, prepared.
        step: generator steps done.
    """

    generator: nn.Module
    discriminator: nn.Module
    average: AveragedModel | None
    opt_g: torch.optim.Optimizer
    opt_d: torch.optim.Optimizer
    step: int = 0


def make_optimizer(network: nn.Module, settings: GanTrainingSettings) -> torch.optim.Optimizer:
    """Adam as Miyato et al. 2018 have it for both networks; fused, as `Guard` needs it."""
    return torch.optim.Adam(network.parameters(), lr=settings.lr, betas=(settings.beta1, settings.beta2), fused=True)


def make_policy(mix: GanMixSettings) -> RealFakePolicy:
    """The law of the plans that the settings describe."""
    return RealFakePolicy(mix.mix.items, mix.alpha, mix.lam, mix.per, mix.pairs.items)  # type: ignore[arg-type]


def discriminator_step(
    discriminator: nn.Module,
    guard: Guard,
    real: Float[Tensor, "b c h w"],
    fake: Float[Tensor, "b c h w"],
    plan: MixPlan,
    loss: GANLoss,
    mix: GanMixSettings,
) -> Float[Tensor, " 4"]:
    """One forward over real, fake and appended mixed rows, and one update (Equation 6).

    Returns:
        The losses: total, on real rows, on fake rows, on mixed rows.
    """
    x = torch.cat([real, fake.to(real.dtype)])  # (2b, c, h, w)
    logits = discriminator(x, plan, append=True)  # (2b + m,)
    mixed_labels = plan.mix(real_fake_labels(len(real), x.device))  # (m,)
    if mix.mix_label == "fake":
        mixed_labels = torch.zeros_like(mixed_labels)
    losses = discriminator_losses(loss, logits.float(), mixed_labels, mix.mix_weight)
    guard.update(losses.total)
    return torch.stack([losses.total, losses.real, losses.fake, losses.mixed]).detach()


def train_gan(
    state: GanState,
    batches: Batches,
    mix: GanMixSettings,
    settings: GanTrainingSettings,
    *,
    latent_dim: int,
    seed: int,
    accelerator: Accelerator,
    log_every: int,
    on_metrics: Callable[[list[dict[str, Any]]], None],
    tasks: Sequence[Task],
    skip_non_finite: int = 0,
    check_stop: Callable[[], None] = lambda: None,
) -> None:
    """Train from `state.step` to `settings.steps` generator steps.

    One generator step is n_dis discriminator steps, each one forward over B real, B fake and the appended mixed rows,
    and one step of the generator, in which the discriminator is frozen.

    Args:
        state: changed in place.
        batches: real images in [-1, 1], by discriminator step.
        on_metrics: gets the rows of the steps since its last call, on every process.
        tasks: run after a step when due, in order, on every process.
        skip_non_finite: how many steps may be skipped because of losses or gradients that are not finite.
        check_stop: called after each step but the last, on every process; ends training by raising `Stopped`.

    Raises:
        TrainingFailed: if a loss or gradient is not finite once more than may be skipped. What is not finite never
            reaches a weight, an optimizer or the average.
    """
    loss = GAN_LOSSES[settings.loss]
    policy, baseline = make_policy(mix), RealFakePolicy("none")
    rank, device = accelerator.process_index, accelerator.device
    b = settings.batch_size // accelerator.num_processes
    generator = accelerator.unwrap_model(state.generator)
    discriminator = accelerator.unwrap_model(state.discriminator)
    guard_d = Guard("discriminator", state.discriminator, state.opt_d, accelerator, settings.clip_grad)
    guard_g = Guard("generator", state.generator, state.opt_g, accelerator, settings.clip_grad)
    statistics = RunningStatistics([generator, discriminator])
    metrics = Metrics(accelerator, [guard_d, guard_g], on_metrics, skip_non_finite)

    def latents(purpose: str, step: int, count: int) -> Tensor:
        stream = torch_stream(seed, purpose, rank, step, device)
        return torch.randn(count, latent_dim, generator=stream, device=device)  # (count, latent_dim)

    def draw_plan(d_step: int) -> MixPlan:
        mixes = state.step >= mix.mix_start and d_step % mix.mix_every == 0
        return (policy if mixes else baseline).draw(b, d_step, seed, rank, device)

    state.generator.train()
    state.discriminator.train()
    while state.step < settings.steps:
        decay = 1 - state.step / settings.steps if settings.lr_decay == "linear" else 1.0
        for group in [*state.opt_g.param_groups, *state.opt_d.param_groups]:
            group["lr"] = settings.lr * decay

        statistics.keep()

        # The discriminator: n_dis times, fakes without gradients, one forward for real, fake and mixed rows.
        terms: list[Tensor] = []
        layers: list[str] = []
        for d_step in range(state.step * settings.n_dis, (state.step + 1) * settings.n_dis):
            real, _ = batches.batch(d_step)  # (b, c, h, w)
            with torch.no_grad(), accelerator.autocast():
                fake = generator(latents("latents of d", d_step, b))  # (b, c, h, w)
            plan = draw_plan(d_step)
            terms.append(discriminator_step(state.discriminator, guard_d, real, fake, plan, loss, mix))
            layers.append(plan.layer)

        # The generator: once, through a discriminator that needs no gradients of its own.
        discriminator.requires_grad_(False)
        with accelerator.autocast():
            fake = state.generator(latents("latents of g", state.step, b * settings.g_batch_factor))
            loss_g = loss.generator(discriminator(fake).float()).mean()
        guard_g.update(loss_g)
        discriminator.requires_grad_(True)
        statistics.restore(guard_d.skipped + guard_g.skipped > 0)
        if state.average is not None:
            state.average.update_parameters(generator)
        state.step += 1

        # Everything else.
        total, on_real, on_fake, on_mixed = torch.stack(terms).mean(0)
        metrics.add(
            {"step": state.step, "images": state.step * settings.n_dis * settings.batch_size, "layers": layers},
            {
                "loss_d": total,
                "loss_d_real": on_real,
                "loss_d_fake": on_fake,
                "loss_d_mixed": on_mixed,
                "loss_g": loss_g,
            },
        )
        due = any(task.due(state.step, settings.steps) for task in tasks)
        if due or state.step % log_every == 0 or state.step == settings.steps:
            metrics.flush()
        run_due(tasks, state.step, settings.steps)
        if state.step < settings.steps:
            try:
                check_stop()
            except Stopped:
                metrics.flush()  # whoever catches it saves
                raise


def sampling_generator(state: GanState, accelerator: Accelerator) -> nn.Module:
    """A copy of the generator to sample from: its average where there is one, in eval mode, the same on all processes.

    A copy, because BatchNorm's running statistics differ between processes while training, and sampling must neither
    depend on the process nor change what training computes.
    """
    source = accelerator.unwrap_model(state.generator) if state.average is None else state.average.module
    generator: nn.Module = copy.deepcopy(source).eval().requires_grad_(False)
    if accelerator.num_processes > 1:
        for tensor in [*generator.parameters(), *generator.buffers()]:
            tensor.data.copy_(broadcast(tensor.data, from_process=0))
    return generator
