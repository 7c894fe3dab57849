"""The GAN training loop: a discriminator regularised by Manifold Mixup (Appendix E, Equation 6), and its generator."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mmgan.config.gan import GanMixSettings, GanTrainingSettings
from mmgan.data import Batches
from mmgan.draws import torch_stream
from mmgan.losses import GAN_LOSSES, GANLoss, discriminator_losses, generator_loss
from mmgan.mixing.plan import MixPlan
from mmgan.mixing.policies import RealFakePolicy
from mmgan.training.guard import Guard, RunningStatistics
from mmgan.training.metrics import Metrics
from mmgan.training.tasks import LoopContext

LOSSES_D = ("loss_d", "loss_d_real", "loss_d_fake", "loss_d_mixed")
"""The discriminator's losses, in the order of `discriminator_step`."""


@dataclass
class GanParts:
    """The parts of a training, made by anybody. Training changes the networks, the optimizers and `step`.

    Attributes:
        generator: maps (n, latent_dim) to images (n, c, h, w) in [-1, 1]; as `accelerator.prepare` returned it.
        discriminator: a `Mixed` around a network that maps such images to (n,) logits; prepared.
        average: the generator's exponential average, or None.
        opt_g, opt_d: the optimizers, prepared.
        batches: the real images, by discriminator step.
        policy: draws the plans.
        latent_dim: dimensions of z ~ N(0, I).
        step: the number of generator steps done.
    """

    generator: nn.Module
    discriminator: nn.Module
    average: AveragedModel | None
    opt_g: torch.optim.Optimizer
    opt_d: torch.optim.Optimizer
    batches: Batches
    policy: RealFakePolicy
    latent_dim: int
    step: int = 0

    def networks(self) -> Mapping[str, nn.Module]:
        """The networks to save, by the name of their file."""
        average = {} if self.average is None else {"generator-average": self.average}
        return {"generator": self.generator, "discriminator": self.discriminator} | average

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """The optimizers to save, by the name of their file."""
        return {"optimizer-g": self.opt_g, "optimizer-d": self.opt_d}


def make_optimizer(network: nn.Module, settings: GanTrainingSettings) -> torch.optim.Optimizer:
    """Adam with the settings of Miyato et al. 2018 for both networks; fused, because `Guard` needs it."""
    return torch.optim.Adam(network.parameters(), lr=settings.lr, betas=(settings.beta1, settings.beta2), fused=True)


def make_policy(mix: GanMixSettings) -> RealFakePolicy:
    """The policy that draws plans as the settings say."""
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
        The losses of `LOSSES_D`: total, on real rows, on fake rows, on mixed rows.
    """
    x = torch.cat([real, fake.to(real.dtype)])  # (2b, c, h, w)
    logits = discriminator(x, plan=plan, mode="append")  # (2b + m,)
    on_real, on_fake, on_mixed = plan.split(logits)  # (b,), (b,), (m,)
    losses = discriminator_losses(loss, on_real, on_fake, on_mixed, plan, mix.mix_label, mix.mix_weight)
    guard.update(losses.total)
    return torch.stack([losses.total, losses.real, losses.fake, losses.mixed]).detach()


def train_gan(parts: GanParts, mix: GanMixSettings, settings: GanTrainingSettings, context: LoopContext) -> None:
    """Train from `parts.step` to `settings.steps` generator steps.

    One generator step is n_dis discriminator steps and one step of the generator. A discriminator step is one forward
    over B real, B fake and the appended mixed rows. In the generator's step the discriminator is frozen.

    Args:
        parts: the networks, their optimizers and data; changed in place.
        mix: when rows are mixed, and how they count in the loss.
        settings: the loss, the number and size of the steps.
        context: where training runs, the seed of latents and plans, and what follows a step.

    Raises:
        TrainingFailed: if more steps than `context.skip_non_finite` have a loss or gradient that is not finite. Such
            numbers never reach a weight, an optimizer or the average.
        Stopped: as `context.check_stop`.
    """
    loss = GAN_LOSSES[settings.loss]
    baseline = RealFakePolicy("none")
    accelerator, seed = context.accelerator, context.seed
    rank, device = accelerator.process_index, accelerator.device
    b = settings.batch_size // accelerator.num_processes
    generator = accelerator.unwrap_model(parts.generator)
    discriminator = accelerator.unwrap_model(parts.discriminator)
    guard_d = Guard("discriminator", parts.discriminator, parts.opt_d, accelerator, settings.clip_grad)
    guard_g = Guard("generator", parts.generator, parts.opt_g, accelerator, settings.clip_grad)
    statistics = RunningStatistics([generator, discriminator])
    metrics = Metrics(context, [guard_d, guard_g])

    def latents(purpose: str, step: int, count: int) -> Tensor:
        stream = torch_stream(seed, purpose, rank, step, device)
        return torch.randn(count, parts.latent_dim, generator=stream, device=device)  # (count, latent_dim)

    def draw_plan(d_step: int) -> MixPlan:
        mixes = parts.step >= mix.mix_start and d_step % mix.mix_every == 0
        return (parts.policy if mixes else baseline).draw(b, d_step, seed, rank, device)

    parts.generator.train()
    parts.discriminator.train()
    while parts.step < settings.steps:
        decay = 1 - parts.step / settings.steps if settings.lr_decay == "linear" else 1.0
        for group in [*parts.opt_g.param_groups, *parts.opt_d.param_groups]:
            group["lr"] = settings.lr * decay

        statistics.keep()

        # The discriminator: n_dis times, fakes without gradients, one forward for real, fake and mixed rows.
        terms: list[Tensor] = []
        layers: list[str] = []
        for d_step in range(parts.step * settings.n_dis, (parts.step + 1) * settings.n_dis):
            real, _ = parts.batches.batch(d_step)  # (b, c, h, w)
            with torch.no_grad(), accelerator.autocast():
                fake = generator(latents("latents of d", d_step, b))  # (b, c, h, w)
            plan = draw_plan(d_step)
            terms.append(discriminator_step(parts.discriminator, guard_d, real, fake, plan, loss, mix))
            layers.append(plan.layer)

        # The generator: once, through a discriminator that needs no gradients of its own.
        discriminator.requires_grad_(False)
        with accelerator.autocast():
            fake = parts.generator(latents("latents of g", parts.step, b * settings.g_batch_factor))
            loss_g = generator_loss(loss, discriminator(fake))
        guard_g.update(loss_g)
        discriminator.requires_grad_(True)
        statistics.restore(guard_d.skipped + guard_g.skipped > 0)
        if parts.average is not None:
            parts.average.update_parameters(generator)
        parts.step += 1

        # Metrics, tasks, and a look whether to stop.
        losses = dict(zip(LOSSES_D, torch.stack(terms).mean(0), strict=True)) | {"loss_g": loss_g}
        images = parts.step * settings.n_dis * settings.batch_size
        metrics.add({"step": parts.step, "images": images, "layers": layers}, losses)
        metrics.finish_step(parts.step, settings.steps)
