"""A GAN run from its configuration to its scores: builds the parts, wires the tasks, and trains."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from mmgan.config.gan import GanConfig
from mmgan.config.parse import flat
from mmgan.data import Batches, Images, check_dataset_name, make_batches
from mmgan.errors import UserError
from mmgan.gan_networks import build_networks
from mmgan.gan_scores import GanScorer, check_scoring, make_scorer, summary
from mmgan.inputs import load_split
from mmgan.program import Console, make_accelerator, on_main, show_config, where
from mmgan.report import write_report
from mmgan.runs.checkpoints import (
    Checkpoint,
    load_network,
    load_optimizer,
    newest_checkpoint,
    prune_checkpoints,
    read_facts,
    save_checkpoint,
    step_name,
)
from mmgan.runs.facts import refuse_changes, run_facts
from mmgan.runs.folder import RunFolder
from mmgan.runs.pictures import save_grid
from mmgan.scoring import image_source
from mmgan.training.gan import GanState, make_average, make_optimizer, make_policy, sampling_generator, train_gan
from mmgan.training.tasks import Task

GRID = 64
"""Images of a sample grid."""


@dataclass
class GanRun:
    """The parts of a run, ready to train."""

    config: GanConfig
    folder: RunFolder
    accelerator: Accelerator
    images: Images
    state: GanState
    facts: dict[str, Any]
    scorer: GanScorer | None
    console: Console | None = None

    def save(self, name: str) -> None:
        """A checkpoint of that name, from the main process; all wait until it is whole."""
        if self.accelerator.is_main_process:
            save_checkpoint(self.folder.checkpoints, name, self.checkpoint())
        self.accelerator.wait_for_everyone()

    def checkpoint(self) -> Checkpoint:
        """The state as it would be saved now."""
        state, unwrap = self.state, self.accelerator.unwrap_model
        networks = {"generator": unwrap(state.generator), "discriminator": unwrap(state.discriminator)}
        if state.average is not None:
            networks["generator-average"] = state.average
        scaler = self.accelerator.scaler
        facts = self.facts | {"step": state.step, "scaler": None if scaler is None else scaler.state_dict()}
        return Checkpoint(networks, {"optimizer-g": state.opt_g, "optimizer-d": state.opt_d}, facts)

    def restore(self) -> list[str]:
        """Go on from the newest checkpoint that can be trusted; returns what there is to say of it.

        Raises:
            UserError: if there is none, or it was made by another run than this configuration describes.
        """
        path, faults = newest_checkpoint(self.folder.checkpoints)
        saved = read_facts(path)
        refuse_changes(saved, self.facts)
        checkpoint = self.checkpoint()
        for stem, network in checkpoint.networks.items():
            load_network(path, stem, network)
        for stem, optimizer in checkpoint.optimizers.items():
            load_optimizer(path, stem, optimizer)
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(saved["scaler"])
        self.state.step = saved["step"]
        return [*(f"passed over: {fault}" for fault in faults), f"resumed from {path} at step {self.state.step}"]

    def sample(self, step: int) -> None:
        """A grid of samples from the same latents each time."""
        generator = sampling_generator(self.state, self.accelerator)
        if self.accelerator.is_main_process:
            source = image_source(
                generator, self.config.networks.latent_dim, self.config.run.seed, self.accelerator.device
            )
            save_grid(source(0, GRID), self.folder.samples / f"{step_name(step)}.png")

    def score(self, step: int) -> None:
        """Score the generator, note it in scores.json, and keep the weights of the lowest FID as checkpoints/best."""
        assert self.scorer is not None
        generator = sampling_generator(self.state, self.accelerator)
        best = self.scorer.score(generator, step, self.folder)
        self.say(self.scorer.line)
        if best:
            self.save("best")

    def keep_checkpoint(self, step: int) -> None:
        self.save(step_name(step))
        if self.accelerator.is_main_process:
            prune_checkpoints(self.folder.checkpoints, self.config.run.keep_checkpoints)

    def note_metrics(self, rows: list[dict[str, Any]]) -> None:
        if self.accelerator.is_main_process:
            self.folder.append_metrics(rows)
        for row in rows if self.config.run.tracker != "none" else []:
            self.accelerator.log({k: v for k, v in row.items() if isinstance(v, (int, float))}, step=row["step"])
        if self.console is not None:
            self.console.show(rows)

    def say(self, line: str) -> None:
        if self.console is not None:
            self.console.say(line)


def run_gan(config: GanConfig, source: str | None) -> None:
    """Check everything, train, score, and say what came out.

    Args:
        config: the settings.
        source: the file given with --config, or None for the embedded default.

    Raises:
        UserError: for what cannot be done as asked, before any training and with nothing overwritten.
        TrainingFailed: if a loss stops being finite.
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
    if run.dry_run:
        show_config(flat(config), accelerator)
        return
    channels, image_size = image_shape(images)
    facts = run_facts(
        [config.data, config.mix, config.networks, config.training],
        seed=run.seed,
        data_digest=images.digest,
        processes=accelerator.num_processes,
    ) | {"channels": channels, "image_size": image_size}
    if run.resume:  # before the judge is trained or anything is written
        newest_checkpoint(folder.checkpoints)
    scorer = make_scorer(config, images, accelerator)
    this = GanRun(config, folder, accelerator, images, state, facts, scorer)
    lines = opening(config, source, images, folder, accelerator)
    if run.resume:
        lines += this.restore()
        on_main(accelerator, lambda: folder.cut_metrics(state.step))
    else:
        saved = flat(config) | {"out": str(folder.path), "resume": False, "overwrite": False}
        on_main(accelerator, lambda: folder.start(saved, overwrite=run.overwrite))
    if run.tracker != "none":
        accelerator.init_trackers("mmgan", config=flat(config))
    this.console = Console(accelerator, config.training.steps, state.step)
    for line in lines:
        this.say(line)

    try:
        train_gan(
            state,
            batches,
            mix,
            config.training,
            latent_dim=config.networks.latent_dim,
            seed=run.seed,
            accelerator=accelerator,
            log_every=run.log_every,
            on_metrics=this.note_metrics,
            tasks=[
                Task(this.sample, config.score.sample_every),
                Task(this.keep_checkpoint, run.checkpoint_every or config.training.steps),
                Task(this.score, config.score.score_every),
            ],
        )
    finally:
        this.console.close()
    accelerator.end_training()
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
    average = make_average(generator.to(accelerator.device), training)
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
