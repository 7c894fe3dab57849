"""The GAN training loop: a discriminator regularised by Manifold Mixup (Appendix E, Equation 6), and its generator."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mmgan.config.gan import GanMixSettings, GanTrainingSettings
from mmgan.data import Batches
from mmgan.draws import torch_stream
from mmgan.gan.classes import Classes
from mmgan.gan.objectives import find_loss
from mmgan.gan.steps import DiscriminatorSlice, GeneratorSlice, Steps, Terms, mean_terms
from mmgan.mixing.plan import MixPlan
from mmgan.mixing.policies import RealFakePolicy
from mmgan.regularizers import DiffAugment, Regularizers
from mmgan.training.guard import Guard, RunningStatistics, Watch
from mmgan.training.metrics import Metrics
from mmgan.training.tasks import LoopContext


@dataclass
class GanParts:
    """The parts of a training, made by anybody. Training changes the networks, the optimizers and `step`.

    Attributes:
        generator: maps (n, latent_dim) to images (n, c, h, w) in [-1, 1]; as `accelerator.prepare` returned it. In a
            conditional training both networks are also given the classes of their rows, (n,).
        discriminator: a `Mixed` around a network that maps such images to (n,) logits; prepared.
        average: the generator's exponential average, or None.
        opt_g, opt_d: the optimizers, prepared.
        batches: the real images, by discriminator step.
        policy: draws the plans.
        latent_dim: dimensions of z ~ N(0, I).
        step: the number of generator steps done.
        regularizers: of the discriminator.
        augment: of all images that the discriminator sees; or None.
        classes: of a conditional training; None: the networks take none.
        mix_within: in a conditional training, whether rows of one class alone are mixed.
        cuda_graphs: whether the compiled networks run as CUDA graphs. What one returns then lies in memory that is
            written again in the next step.
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
    regularizers: Regularizers = field(default_factory=Regularizers)
    augment: DiffAugment | None = None
    classes: Classes | None = None
    mix_within: bool = True
    cuda_graphs: bool = False

    def networks(self) -> Mapping[str, nn.Module]:
        """The networks to save, by the name of their file."""
        average = {} if self.average is None else {"generator-average": self.average}
        state = {"regularizers": self.regularizers} if self.regularizers.state_dict() else {}
        return {"generator": self.generator, "discriminator": self.discriminator} | average | state

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """The optimizers to save, by the name of their file."""
        return {"optimizer-g": self.opt_g, "optimizer-d": self.opt_d}


def make_optimizer(network: nn.Module, settings: GanTrainingSettings) -> torch.optim.Optimizer:
    """Adam with the settings of Miyato et al. 2018 for both networks; fused, because `Guard` needs it."""
    return torch.optim.Adam(network.parameters(), lr=settings.lr, betas=(settings.beta1, settings.beta2), fused=True)


def make_policy(mix: GanMixSettings, layers: tuple[str, ...] | None = None) -> RealFakePolicy:
    """The policy that draws plans as the settings say, for these layers or for those of the settings."""
    layers = mix.mix.items if layers is None else layers
    return RealFakePolicy(layers, mix.alpha, mix.lam, mix.per, mix.pairs.items, mix.mix_rule)  # type: ignore[arg-type]


def train_gan(parts: GanParts, mix: GanMixSettings, settings: GanTrainingSettings, context: LoopContext) -> None:
    """Train from `parts.step` to `settings.steps` generator steps.

    One generator step is n_dis discriminator steps and one step of the generator. A discriminator step is one forward
    over B real, B fake and the appended mixed rows, and the further forwards that its regularizers need. In the
    generator's step the discriminator is frozen.

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
    accelerator, seed, device = context.accelerator, context.seed, context.accelerator.device
    slices = settings.accumulate
    ranks = range(accelerator.process_index * slices, (accelerator.process_index + 1) * slices)
    b = settings.batch_size // (accelerator.num_processes * slices)
    baseline = RealFakePolicy("none")
    guard_d = Guard("discriminator", parts.discriminator, parts.opt_d, accelerator, settings.clip_grad)
    guard_g = Guard("generator", parts.generator, parts.opt_g, accelerator, settings.clip_grad)
    loss, regularizers = find_loss(settings.loss), parts.regularizers
    networks = parts.generator, parts.discriminator
    steps = Steps(*networks, guard_g, guard_d, loss, mix, regularizers, parts.augment, accelerator, seed)
    statistics = RunningStatistics([steps.plain_g, steps.plain_d, regularizers])
    watch = Watch(parts.networks(), parts.optimizers(), accelerator)
    metrics = Metrics(context, [guard_d, guard_g], watch)

    def latents(purpose: str, step: int, rank: int, count: int) -> Tensor:
        stream = torch_stream(seed, purpose, rank, step, device)
        return torch.randn(count, parts.latent_dim, generator=stream, device=device)  # (count, latent_dim)

    def draw_plan(d_step: int, rank: int, classes: Tensor | None) -> MixPlan:
        mixes = parts.step >= mix.mix_start and d_step % mix.mix_every == 0
        within = None if classes is None or not parts.mix_within else torch.cat([classes, classes])  # (2b,)
        return (parts.policy if mixes else baseline).draw(b, d_step, seed, rank, device, within)

    def classes_of(labels: Tensor | None) -> list[Tensor | None]:
        """The classes of each slice's real rows. Latents are independent, so its fake rows may have them in order."""
        return [None] * slices if parts.classes is None or labels is None else list(labels.chunk(slices))

    begin_step = torch.compiler.cudagraph_mark_step_begin if parts.cuda_graphs else lambda: None
    parts.generator.train()
    parts.discriminator.train()
    while parts.step < settings.steps:
        decay = 1 - parts.step / settings.steps if settings.lr_decay == "linear" else 1.0
        for group in [*parts.opt_g.param_groups, *parts.opt_d.param_groups]:
            group["lr"] = settings.lr * decay

        statistics.keep()

        # The discriminator: n_dis times, fakes without gradients, one forward for real, fake and mixed rows.
        terms: list[Terms] = []
        layers: list[str] = []
        for d_step in range(parts.step * settings.n_dis, (parts.step + 1) * settings.n_dis):
            real, labels = parts.batches.batch(d_step)  # (slices * b, c, h, w), (slices * b,)
            work_d = [
                DiscriminatorSlice(rows, latents("latents of d", d_step, rank, b), draw_plan(d_step, rank, y), rank, y)
                for rows, y, rank in zip(real.chunk(slices), classes_of(labels), ranks, strict=True)
            ]
            begin_step()
            terms += steps.discriminator_step(d_step, work_d)
            layers.append(work_d[0].plan.layer)

        # The generator: once, against the real rows of the last step where its loss needs some.
        work_g = [
            GeneratorSlice(latents("latents of g", parts.step, rank, b * settings.g_batch_factor), rows, rank, y)
            for rows, y, rank in zip(real.chunk(slices), classes_of(labels), ranks, strict=True)
        ]
        begin_step()
        terms_g = steps.generator_step(parts.step, work_g)
        statistics.restore(guard_d.skipped + guard_g.skipped > 0)
        if parts.average is not None:
            parts.average.update_parameters(steps.plain_g)
        parts.step += 1

        # Metrics, tasks, and a look whether to stop.
        images = parts.step * settings.n_dis * settings.batch_size
        facts = {"step": parts.step, "images": images, "layers": layers}
        metrics.add(facts, mean_terms(terms) | mean_terms(terms_g))
        metrics.finish_step(parts.step, settings.steps)
