"""A classifier run from its configuration to its test results: builds the parts, wires the tasks, and trains."""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from mmgan.analysis.adversarial import pgd
from mmgan.config.classifier import AdversarialSettings, ClassifierConfig
from mmgan.config.parse import flat
from mmgan.data import Images, draw_images, make_batches, split_validation
from mmgan.errors import UserError
from mmgan.process.accelerator import make_accelerator, on_main
from mmgan.process.console import show_config
from mmgan.process.inputs import load_split
from mmgan.process.stopping import StopRequests
from mmgan.report import write_report
from mmgan.runs.checkpoints import Checkpoint
from mmgan.runs.facts import run_facts
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import find_fault
from mmgan.runs.session import Session, find_resumable
from mmgan.supervised.held_out import Result, evaluation_copy, held_out_result
from mmgan.supervised.loop import (
    Attack,
    ClassifierState,
    make_optimizer,
    make_policy,
    train_classifier,
)
from mmgan.supervised.networks import build_network, load_classifier
from mmgan.supervised.summary import entry, manifest, opening, summary
from mmgan.training.average import make_average
from mmgan.training.tasks import Task


@dataclass
class Validation:
    """After each epoch: error and NLL on the validation images, and the best epoch's weights kept."""

    state: ClassifierState
    images: Images
    session: Session
    steps_per_epoch: int
    best: tuple[float, float] | None = None  # error, then NLL; of equals the first
    latest: Result | None = None

    def __call__(self, step: int) -> dict[str, float]:
        accelerator = self.session.accelerator
        result = self.latest = held_out_result(evaluation_copy(self.state, accelerator), self.images, accelerator)
        chosen = self.best is None or (result.error_percent, result.nll) < self.best
        if chosen:
            self.best = result.error_percent, result.nll
            checkpoint = self.session.checkpoint()
            self.session.save("best", Checkpoint(checkpoint.networks, {}, checkpoint.facts))
        self.session.say(
            f"epoch {step // self.steps_per_epoch}: validation error {result.error_percent:.2f} %, NLL {result.nll:.4f}"
            + (", the best so far" if chosen else "")
        )
        return {"val_error_percent": result.error_percent, "val_nll": result.nll}


def run_classifier(config: ClassifierConfig, source: str | None, stop: StopRequests) -> None:
    """Check everything, train, test, and say what came out.

    Args:
        config: the settings.
        source: the file given with --config, or None for the embedded default.
        stop: what signals ask for.

    Raises:
        UserError: for what cannot be done as asked, before any training and with nothing overwritten.
        TrainingFailed: if a loss, gradient or logit is not finite.
        Stopped: after a step, when asked to; a checkpoint is kept.
    """
    run, training = config.run, config.training
    folder = RunFolder(run.out or default_folder(config))
    make_policy(config.mix)  # refuses a law that does not exist, before anything is read
    accelerator = make_accelerator(run, config.device, str(folder.path))
    on_main(accelerator, lambda: folder.check(resume=run.resume, overwrite=run.overwrite))

    # The test images are looked at for what is wrong with them now, and used when training is over.
    both = check_labelled(load_split(config.data, "train", accelerator))
    images, validation_images = split_validation(both, config.examples.validation, run.seed)
    if config.examples.train_images is not None:
        images = draw_images(images, config.examples.train_images, run.seed)
    test_images = check_labelled(load_split(config.data, "test", accelerator))
    if test_images.classes != images.classes:
        raise UserError(f"{images.name}: the classes of the test images are not those of the training images")
    batches = make_batches(
        images,
        training.batch_size,
        seed=run.seed,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        device=accelerator.device,
        flip=config.data.flip,
        crop_padding=config.examples.crop_padding,
    )
    state = build_state(config, images, accelerator)
    size = images.pixels.shape[-1]
    if config.examples.cutout > size or config.examples.crop_padding >= size:
        raise UserError(f"--cutout and --crop-padding must be smaller than the images, which have {size} pixels a side")
    if run.resume:
        find_resumable(folder, accelerator)
    if run.dry_run:
        show_config(flat(config), accelerator)
        return
    epoch = batches.steps_per_epoch
    shape = {
        "classes": len(images.classes),
        "channels": images.pixels.shape[1],
        "image_size": images.pixels.shape[-1],
    }
    facts = shape | run_facts(
        [config.data, config.mix, config.examples, config.network, training, config.adversarial, config.device],
        seed=run.seed,
        data_digest=both.digest,
        processes=accelerator.num_processes,
    )

    def checkpoint() -> Checkpoint:
        networks = {"classifier": accelerator.unwrap_model(state.network)}
        if state.average is not None:
            networks["classifier-average"] = state.average
        now = {
            "step": state.step,
            "epoch": state.step // epoch,
            "validation": None if validation.latest is None else asdict(validation.latest),
        }
        return Checkpoint(networks, {"optimizer": state.optimizer}, facts | now | session.session_facts())

    session = Session(run, folder, accelerator, checkpoint, stop)
    validation = Validation(state, validation_images, session, epoch)
    saved = session.begin(
        config, training.epochs * epoch, opening(config, source, images, validation_images, folder, accelerator)
    )
    if saved:
        state.step = saved["step"]
        validation.latest = None if saved["validation"] is None else Result(**saved["validation"])
        validation.best, fault = on_main(accelerator, lambda: best_so_far(folder))
        if fault:
            session.say(f"the best epoch is chosen anew from here: {fault}")
    with session:
        train_classifier(
            state,
            batches,
            config.mix,
            training,
            classes=len(images.classes),
            seed=run.seed,
            accelerator=accelerator,
            log_every=run.log_every,
            on_metrics=session.note_metrics,
            tasks=[Task(session.keep_checkpoint, (run.checkpoint_every or training.epochs) * epoch)],
            validate=validation,
            cutout_side=config.examples.cutout,
            attack=make_attack(config.adversarial),
            skip_non_finite=run.skip_non_finite,
            check_stop=stop.check,
        )

        # The only place where the test images are used.
        last = held_out_result(evaluation_copy(state, accelerator), test_images, accelerator)
        best = load_classifier(folder, "best", config, len(images.classes))
        best_result = held_out_result(best.network.to(accelerator.device), test_images, accelerator)
    if accelerator.is_main_process:
        common = manifest(config, test_images, accelerator)
        now = checkpoint().facts
        scores = {
            "last": entry(now, last) | common,
            "best": entry(best.facts, best_result) | common,
        }
        folder.write_scores(scores)
        write_report(folder)
        print(summary(scores, config, folder))


def check_labelled(images: Images) -> Images:
    """The images, if there is something to tell apart.

    Raises:
        UserError: for images without labels, or of one class.
    """
    if images.labels is None:
        raise UserError(f"{images.name} ({images.split}) has no labels: a classifier needs a folder for each class")
    present = torch.unique(images.labels).tolist()
    if len(present) < 2:
        raise UserError(
            f"{images.name} ({images.split}) has one class, '{images.classes[present[0]]}':"
            " a classifier needs two or more"
        )
    return images


def build_state(config: ClassifierConfig, images: Images, accelerator: Accelerator) -> ClassifierState:
    """Network and optimizer, initialised by the seed and prepared for the device.

    Raises:
        UserError: if the network does not exist for these images, or a layer to mix at does not exist.
    """
    _, channels, height, width = images.pixels.shape
    if height != width:
        raise UserError(f"the images of {images.name} are {width}x{height}: choose a square with --image-size")
    network = build_network(config, len(images.classes), channels, height)
    average = make_average(network.to(accelerator.device), config.training.ema)
    if config.device.compile:
        network.compile(fullgraph=True)
    prepared, optimizer = accelerator.prepare(network, make_optimizer(network, config.training))
    return ClassifierState(prepared, average, optimizer)


def make_attack(settings: AdversarialSettings) -> Attack | None:
    """What adversarial training trains on: PGD from a random start (Madry et al. 2018), or nothing of the kind."""
    if settings.adversarial == "none":
        return None

    def attack(network: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        return pgd(
            network,
            images,
            labels,
            epsilon=settings.pgd_epsilon,
            step_size=settings.pgd_step,
            steps=settings.pgd_steps,
            generator=generator,
        )

    return attack


def best_so_far(folder: RunFolder) -> tuple[tuple[float, float] | None, str | None]:
    """Lowest validation error, and of equals the lowest NLL, in metrics.jsonl; or None and why the weights of that
    epoch cannot be had."""
    best = folder.checkpoints / "best"
    rows = [row for row in folder.read_metrics() if "val_nll" in row]
    if rows and (fault := find_fault(best)):
        return None, f"{best}: {fault}"
    return min(((row["val_error_percent"], row["val_nll"]) for row in rows), default=None), None


def default_folder(config: ClassifierConfig) -> str:
    """runs/<data>-<arch>-<layers>-seed<seed>."""
    data = Path(config.data.data).name if config.data.data.startswith("folder:") else config.data.data
    return f"runs/{data}-{config.network.arch}-{'+'.join(config.mix.mix.items)}-seed{config.run.seed}"
