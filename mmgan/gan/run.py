"""A GAN run from its configuration to its scores: builds the parts, wires the tasks, and trains."""

from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator

from mmgan.config.gan import GanConfig
from mmgan.config.parse import flat
from mmgan.data import Batches, Images, check_dataset_name, make_batches
from mmgan.errors import UserError
from mmgan.gan.loop import GanState, make_optimizer, make_policy, sampling_generator, train_gan
from mmgan.gan.networks import build_networks
from mmgan.gan.scores import GanScorer, check_scoring, cut_scores, make_scorer, reference_images, summary
from mmgan.process.accelerator import make_accelerator, on_main, where
from mmgan.process.console import show_config
from mmgan.process.inputs import load_split
from mmgan.process.stopping import StopRequests
from mmgan.report import write_report
from mmgan.runs.checkpoints import Checkpoint, step_name
from mmgan.runs.facts import run_facts
from mmgan.runs.folder import RunFolder
from mmgan.runs.pictures import save_grid
from mmgan.runs.session import Session, find_resumable
from mmgan.scoring import image_source
from mmgan.training.average import make_average
from mmgan.training.tasks import Task

GRID = 64
"""Images of a sample grid."""


@dataclass
class GanTasks:
    """What a GAN run does beside training."""

    config: GanConfig
    state: GanState
    scorer: GanScorer | None
    session: Session

    def sample(self, step: int) -> None:
        """A grid of samples from the same latents each time."""
        accelerator, config = self.session.accelerator, self.config
        generator = sampling_generator(self.state, accelerator)

        def save() -> None:
            source = image_source(generator, config.networks.latent_dim, config.run.seed, accelerator.device)
            save_grid(source(0, GRID), self.session.folder.samples / f"{step_name(step)}.png")

        on_main(accelerator, save)

    def score(self, step: int) -> None:
        """Score the generator, note it in scores.json, and keep the weights of the lowest FID as checkpoints/best."""
        assert self.scorer is not None
        generator = sampling_generator(self.state, self.session.accelerator)
        session = self.session
        self.scorer.score(
            generator,
            step,
            session.folder,
            changed=session.changed,
            keep_best=lambda: session.save("best", session.checkpoint()),
        )
        session.say(self.scorer.line)

    def catch_up(self, step: int) -> None:
        """After a resume: forget scores of later steps, and score now if the run died between the checkpoint of this
        step and its score."""
        folder, every = self.session.folder, self.config.score.score_every
        missing = on_main(self.session.accelerator, lambda: cut_scores(folder, step))
        if missing and self.scorer is not None and Task(self.score, every).due(step, self.config.training.steps):
            self.score(step)


def run_gan(config: GanConfig, source: str | None, stop: StopRequests) -> None:
    """Check everything, train, score, and say what came out.

    Args:
        config: the settings.
        source: the file given with --config, or None for the embedded default.
        stop: what signals ask for.

    Raises:
        UserError: for what cannot be done as asked, before any training and with nothing overwritten.
        TrainingFailed: if a loss or gradient is not finite.
        Stopped: after a step, when asked to; a checkpoint is kept.
    """
    run, mix = config.run, config.mix
    folder = RunFolder(run.out or default_folder(config))
    make_policy(mix)  # refuses a law or kind of pairs that does not exist, before anything is read
    accelerator = make_accelerator(run, config.device, str(folder.path))
    on_main(accelerator, lambda: folder.check(resume=run.resume, overwrite=run.overwrite))
    check_dataset_name(config.data.data)
    check_scoring(config)

    images = load_split(config.data, "train", accelerator)
    batches = real_batches(config, images, accelerator)
    state = build_state(config, images, accelerator)
    if config.score.score_every:
        reference_images(config, images, accelerator)
    if run.resume:
        find_resumable(folder, accelerator)
    if run.dry_run:
        show_config(flat(config), accelerator)
        return
    channels, image_size = image_shape(images)
    facts = run_facts(
        [config.data, config.mix, config.networks, config.training, config.score, config.device],
        seed=run.seed,
        data_digest=images.digest,
        processes=accelerator.num_processes,
    ) | {"channels": channels, "image_size": image_size}
    scorer = make_scorer(config, images, accelerator, stop)

    def checkpoint() -> Checkpoint:
        generator, discriminator = map(accelerator.unwrap_model, (state.generator, state.discriminator))
        networks = {"generator": generator, "discriminator": discriminator}
        if state.average is not None:
            networks["generator-average"] = state.average
        optimizers = {"optimizer-g": state.opt_g, "optimizer-d": state.opt_d}
        return Checkpoint(networks, optimizers, facts | {"step": state.step} | session.session_facts())

    session = Session(run, folder, accelerator, checkpoint, stop)
    saved = session.begin(config, config.training.steps, opening(config, source, images, folder, accelerator))
    state.step = saved["step"] if saved else 0
    tasks = GanTasks(config, state, scorer, session)
    with session:
        if saved:
            tasks.catch_up(state.step)
        train_gan(
            state,
            batches,
            mix,
            config.training,
            latent_dim=config.networks.latent_dim,
            seed=run.seed,
            accelerator=accelerator,
            log_every=run.log_every,
            on_metrics=session.note_metrics,
            tasks=[
                Task(tasks.sample, config.score.sample_every),
                Task(session.keep_checkpoint, run.checkpoint_every or config.training.steps),
                Task(tasks.score, config.score.score_every),
            ],
            skip_non_finite=run.skip_non_finite,
            check_stop=stop.check,
        )
    if accelerator.is_main_process:
        write_report(folder)
        print(summary(config, folder))


def default_folder(config: GanConfig) -> str:
    """runs/<data>-<layers>-seed<seed>."""
    data = Path(config.data.data).name if config.data.data.startswith("folder:") else config.data.data
    return f"runs/{data}-{'+'.join(config.mix.mix.items)}-seed{config.run.seed}"


def image_shape(images: Images) -> tuple[int, int]:
    """Channels and pixels a side.

    Raises:
        UserError: for images that are not square.
    """
    _, channels, height, width = images.pixels.shape
    if height != width:
        raise UserError(f"the images of {images.name} are {width}x{height}: choose a square with --image-size")
    return channels, height


def build_state(config: GanConfig, images: Images, accelerator: Accelerator) -> GanState:
    """Networks and optimizers, initialised by the seed and prepared for the device.

    Raises:
        UserError: if the networks do not exist for these images, or a layer to mix at does not exist.
    """
    training = config.training
    generator, mixed = build_networks(config, *image_shape(images))
    average = make_average(generator.to(accelerator.device), training.ema)
    if config.device.compile:
        generator.compile(fullgraph=True)
        mixed.compile(fullgraph=True)
    opt_g, opt_d = make_optimizer(generator, training), make_optimizer(mixed, training)
    g, d, opt_g, opt_d = accelerator.prepare(generator, mixed, opt_g, opt_d)
    return GanState(g, d, average, opt_g, opt_d)


def real_batches(config: GanConfig, images: Images, accelerator: Accelerator) -> Batches:
    """The stream of real images for this process."""
    return make_batches(
        images,
        config.training.batch_size,
        seed=config.run.seed,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        device=accelerator.device,
        flip=config.data.flip,
        dequantize=config.training.dequantize,
    )


def opening(
    config: GanConfig, source: str | None, images: Images, folder: RunFolder, accelerator: Accelerator
) -> list[str]:
    """What is about to be done, in words."""
    lines = []
    if source is None and not config.run.resume:
        lines.append(
            "no --config: the embedded default, configs/gan/digits.yaml;"
            " the paper's setting is --config configs/gan/cifar10.yaml"
        )
    n, c, h, w = images.pixels.shape
    lines.append(f"{images.name} ({images.split}): {n:,} images of {w}x{h}, {'grey' if c == 1 else 'RGB'}")
    if images.skipped:
        lines.append(f"{images.skipped} files that cannot be read as images were skipped")
    mixing = (
        f"{config.mix.mix}, lam ~ {config.mix.lam}, alpha {config.mix.alpha:g}" if config.mix.mix != "none" else "none"
    )
    lines.append(f"mixing at {mixing}; on {where(accelerator)}; writing to {folder.path}")
    return lines
