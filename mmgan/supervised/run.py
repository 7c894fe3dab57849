"""A classifier run from its configuration to its test results: build the parts, train them, test them."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn

from mmgan.config.classifier import ClassifierConfig, ClassifierTrainingSettings
from mmgan.data import Images
from mmgan.process.accelerator import on_main
from mmgan.process.stopping import StopRequests
from mmgan.report import write_report
from mmgan.runs.checkpoints import find_checkpoint
from mmgan.runs.data import image_shape
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import find_fault, load_network, read_facts
from mmgan.runs.session import Session
from mmgan.runs.words import opening
from mmgan.supervised.build import build
from mmgan.supervised.held_out import held_out_result
from mmgan.supervised.intervals import judged_intrusions, learned_intervals
from mmgan.supervised.loop import ClassifierParts, train_classifier
from mmgan.supervised.summary import entry, summary
from mmgan.training.average import frozen_copy

PRESET = (
    f"no --config: the embedded default, {ClassifierConfig.DEFAULT}; the paper's setting is --config"
    f" {ClassifierConfig.PAPER}"
)
"""What a run without --config says of its settings."""


def run_classifier(config: ClassifierConfig, source: str | None, stop: StopRequests) -> None:
    """Check everything, train, test, and print the results.

    Args:
        config: the settings.
        source: the file given with --config, or None for the embedded default.
        stop: whether signals ask the run to stop.

    Raises:
        UserError: for settings that cannot be met, before any training and with nothing overwritten.
        TrainingFailed: if a loss, gradient or logit is not finite.
        Stopped: after a step, when asked to; a checkpoint is kept.
    """
    session, parts, data = build(config, stop)
    with session.lock:
        if session.stops_here():
            return
        images, count = data.training, len(data.training.classes)
        text = f"{len(images):,} training and {len(data.validation):,} validation images, {count} classes,"
        session.begin(
            parts,
            total_steps=config.training.epochs * parts.batches.steps_per_epoch,
            data_digest=data.digest,
            shape={"classes": count} | image_shape(images),
            lines=opening(session, text, images, config.mix, PRESET if source is None else None),
            notes={"epoch": 0, "validation": None},
        )
        with session:
            train(parts, data.validation, session, config.training, cutout_side=config.examples.cutout)
            scores = test(parts, data.test, session)
            if parts.adamix is not None:
                known = parts.adamix, data.validation, session.accelerator, config.run.seed
                scores["last"]["adamix"] = learned_intervals(*known) | {"judged_real": judged_intrusions(*known)}
        if session.accelerator.is_main_process:
            session.folder.write_scores(scores)
            write_report(session.folder)
            print(summary(session.folder, config.mix, config.training.epochs, config.run.seed))


def train(
    parts: ClassifierParts,
    validation: Images,
    session: Session,
    training: ClassifierTrainingSettings,
    *,
    cutout_side: int,
) -> None:
    """Train any parts in a session that has begun, and keep the checkpoint of the best epoch.

    Args:
        parts: the network, its optimizer and data.
        validation: the images that choose the best epoch.
        session: begun with these parts.
        training: the loss, the learning rate, the number of epochs.
        cutout_side: of the square that cutout greys, in pixels; 0: none.

    Raises:
        TrainingFailed: if a loss, gradient or logit is not finite.
        Stopped: after a step, when asked to.
    """
    validate = Validation(parts, validation, session)
    if session.settings.resume:
        validate.catch_up()
    train_classifier(
        parts,
        training,
        session.context(session.checkpoints(parts.batches.steps_per_epoch)),
        validate=validate,
        cutout_side=cutout_side,
    )


def test(parts: ClassifierParts, images: Images, session: Session) -> dict[str, Any]:
    """Results on the test images of the last weights and of the best epoch's, for scores.json.

    This is the only place where the test images are used.
    """
    accelerator, best = session.accelerator, find_checkpoint(session.folder.checkpoints, "best")

    def tested(facts: dict[str, Any], checkpoint: Path | None = None) -> dict[str, Any]:
        result = held_out_result(classifier(parts, accelerator, checkpoint), images, accelerator)
        averaged = parts.average is not None
        return entry(facts, result, images, session.settings.seed, accelerator.device, averaged=averaged)

    return {"last": tested(session.progress()), "best": tested(read_facts(best), best)}


@dataclass
class Validation:
    """After each epoch: error and NLL on the validation images, AdaMix's intervals there, and the best epoch's weights
    kept."""

    parts: ClassifierParts
    images: Images
    session: Session
    best: tuple[float, float] | None = None  # error, then NLL; the earlier epoch wins a tie

    def __call__(self, step: int) -> dict[str, Any]:
        session, epoch = self.session, step // self.parts.batches.steps_per_epoch
        result = held_out_result(classifier(self.parts, session.accelerator), self.images, session.accelerator)
        session.notes = {"epoch": epoch, "validation": asdict(result)}
        chosen = self.best is None or (result.error_percent, result.nll) < self.best
        if chosen:
            self.best = result.error_percent, result.nll
            session.save("best", optimizers=False)
        session.say(
            f"epoch {epoch}: validation error {result.error_percent:.2f} %, NLL {result.nll:.4f}"
            + (", the best so far" if chosen else "")
        )
        row: dict[str, Any] = {"val_error_percent": result.error_percent, "val_nll": result.nll}
        if self.parts.adamix is not None:
            known = self.parts.adamix, self.images, session.accelerator, session.settings.seed
            row |= {f"val_{name}": value for name, value in learned_intervals(*known).items()}
        return row

    def catch_up(self) -> None:
        """After a resume: read the best epoch so far. Weights of a later one are dropped."""
        session = self.session

        def find() -> tuple[tuple[float, float] | None, str | None, bool]:
            session.drop_later("best")
            return best_so_far(session.folder, self.parts.step)

        self.best, fault, is_now = on_main(session.accelerator, find)
        if is_now:
            session.save("best", optimizers=False)
        elif fault:
            session.say(f"the best epoch is chosen again from here: {fault}")


def classifier(parts: ClassifierParts, accelerator: Accelerator, checkpoint: Path | None = None) -> nn.Module:
    """A copy of the classifier to evaluate, of its average where there is one.

    Args:
        parts: a training's.
        accelerator: the run's.
        checkpoint: the copy gets its weights; None: the current ones.
    """
    networks = parts.networks()
    stem = "classifier" if parts.average is None else "classifier-average"
    kept = frozen_copy(accelerator.unwrap_model(networks[stem]), accelerator)
    if checkpoint is not None:
        load_network(checkpoint, stem, kept)
    mixed: Any = kept if parts.average is None else kept.module
    network: nn.Module = mixed.model if parts.adamix is None else mixed.model.classifier
    return network


def best_so_far(folder: RunFolder, step: int) -> tuple[tuple[float, float] | None, str | None, bool]:
    """The best epoch in metrics.jsonl: lowest validation error, then lowest NLL, then the earlier one.

    Returns:
        Its error and NLL, or None where its weights are not available; why not; and whether they are those of `step`,
        so that they can be saved again.
    """
    best = folder.checkpoints / "best"
    rows = [row for row in folder.read_metrics() if "val_nll" in row]
    if not rows:
        return None, None, False
    row = min(rows, key=lambda row: (row["val_error_percent"], row["val_nll"]))
    found = (row["val_error_percent"], row["val_nll"])
    if fault := find_fault(best):
        fault = f"{best}: {fault}"
    elif (saved := read_facts(best)["step"]) != row["step"]:
        fault = f"{best} holds the weights of step {saved}, not those of step {row['step']}"
    if fault is None:
        return found, None, False
    is_now = row["step"] == step
    return (found if is_now else None), fault, is_now
