"""A GAN run from its configuration to its scores: build the parts, train them, print the results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn

from mmgan.config.gan import GanConfig, GanMixSettings, GanScoreSettings, GanTrainingSettings
from mmgan.config.presets import preset_line
from mmgan.data import Images
from mmgan.gan.build import build
from mmgan.gan.choices import choose_settings
from mmgan.gan.diagnosing import Diagnosing
from mmgan.gan.failure import note_callback, own_networks_run
from mmgan.gan.history import cut_scores, lost_best, next_scores
from mmgan.gan.loop import GanParts, train_gan
from mmgan.gan.own import OwnNetworks, find_own
from mmgan.gan.regularization import in_words
from mmgan.gan.samples import sample_grid
from mmgan.gan.scores import GanScorer, one_line
from mmgan.gan.shown_run import save_shown
from mmgan.gan.summary import summary
from mmgan.process.accelerator import on_main
from mmgan.process.stopping import StopRequests
from mmgan.report import write_report
from mmgan.runs.checkpoints import step_name
from mmgan.runs.data import image_shape
from mmgan.runs.pictures import save_grid
from mmgan.runs.session import Session
from mmgan.runs.words import opening
from mmgan.training.average import frozen_copy
from mmgan.training.tasks import Task

Callback = Callable[[int, Mapping[str, Any], nn.Module], object]
"""callback(step, metrics, generator); see `Callbacks`."""


def run_gan(
    config: GanConfig,
    source: str | None,
    stop: StopRequests,
    *,
    own: OwnNetworks | None = None,
    given: Images | None = None,
    callbacks: Sequence[Callback] = (),
) -> tuple[Path, nn.Module] | None:
    """Check everything, train, score, and print the results.

    Args:
        config: the settings.
        source: the file given with --config, or None for the embedded default.
        stop: whether signals ask the run to stop.
        own: networks that a Python program hands over; None: those that the settings name.
        given: the training images, where a Python program hands them over.
        callbacks: as `Callbacks` takes them.

    Returns:
        The run folder, and the generator as `train` returns it; None after a dry run.

    Raises:
        UserError: for settings that cannot be met, before any training and with nothing overwritten.
        TrainingFailed: if a loss or gradient is not finite.
        Stopped: after a step, when asked to; a checkpoint is kept.
    """
    named = bool(config.own.generator or config.own.discriminator)
    data, score, said = choose_settings(config.data, config.score, own=named, given=given)
    config = replace(config, data=data, score=score)
    own = find_own(config.own) if own is None else own
    if own:
        # Code that was written for NCHW may call `view` on what NHWC cannot give; its author decides on the layout.
        config = replace(config, device=replace(config.device, channels_last=False))
    session, parts, images, scorer, diagnoser = build(config, stop, own, given)
    with session.lock:
        if session.stops_here():
            return None
        if scorer is not None:
            scorer.prepare()
        count = f"{len(images):,} images ({images.split})"
        session.begin(
            parts,
            total_steps=config.training.steps,
            data_digest=images.digest,
            shape=image_shape(images) | ({} if parts.classes is None else parts.classes.facts()),
            lines=[
                *opening(session, count, images, config.mix, None if source else preset_line(config.data.data)),
                *in_words(parts.regularizers, str(config.regularizers.diffaugment)),
                *own.lines(),
                *said,
            ],
            code=own.code(),
            judge=None if scorer is None else scorer.digests(),
        )
        every = config.diagnosis.diagnose_every
        diagnosing = Diagnosing(diagnoser, parts, session, every) if diagnoser is not None else None
        with own_networks_run(own, parts, session):
            trained = train(parts, scorer, session, config.mix, config.training, config.score, diagnosing, callbacks)
        if session.accelerator.is_main_process:
            place = session.accelerator.device
            known = parts.latent_dim, config.run.seed, parts.step, place, parts.classes
            save_shown(session.folder, trained, images, *known)
            write_report(session.folder)
            print(summary(session.folder, config.mix, config.training.steps, config.run.seed))
        return session.folder.path, trained


def train(
    parts: GanParts,
    scorer: GanScorer | None,
    session: Session,
    mix: GanMixSettings,
    training: GanTrainingSettings,
    score: GanScoreSettings,
    diagnosing: Diagnosing | None = None,
    callbacks: Sequence[Callback] = (),
) -> nn.Module:
    """Train any parts in a session that has begun, with checkpoints, sample grids, scores and diagnoses.

    Args:
        parts: the networks, their optimizers and data.
        scorer: prepared; None: there are no scores.
        session: begun with these parts.
        mix: when rows are mixed, and how they count in the loss.
        training: the loss, the number and size of the steps.
        score: how often samples and scores are made.
        diagnosing: diagnoses the discriminator; None: nothing does.
        callbacks: as `Callbacks` takes them.

    Returns:
        A copy of the generator to sample from, the same on all processes: of its average where there is one.

    Raises:
        TrainingFailed: if a loss or gradient is not finite.
        Stopped: after a step, when asked to; a checkpoint is kept.
    """
    judge = Judge(parts, scorer, session)
    scoring = Task(judge.score, score.score_every if scorer is not None else 0)
    with session:
        if session.settings.resume:
            judge.catch_up(scoring)
        tasks = [Task(judge.sample, score.sample_every), session.checkpoints(), scoring]
        measures = []
        if diagnosing is not None:
            diagnosing.forget_later()
            measures.append(diagnosing.measure())
        if callbacks:
            tasks.append(Task(Callbacks(callbacks, parts, session).call, session.settings.log_every))
        train_gan(parts, mix, training, session.context(*tasks, measures=measures))
        return sampling_generator(parts, session.accelerator)  # while the processes are still connected


@dataclass
class Judge:
    """Sample grids and scores of the generator, or of its average where there is one."""

    parts: GanParts
    scorer: GanScorer | None
    session: Session

    def sample(self, step: int) -> None:
        """Save a grid of samples, from the same latents each time; with classes a row for each."""
        accelerator = self.session.accelerator
        generator = sampling_generator(self.parts, accelerator)
        path = self.session.folder.samples / f"{step_name(step)}.png"

        def save() -> None:
            parts, seed = self.parts, self.session.settings.seed
            images, columns = sample_grid(generator, parts.latent_dim, seed, accelerator.device, parts.classes)
            save_grid(images, path, columns)

        on_main(accelerator, save)
        self.session.track_picture("samples", path, step)

    def score(self, step: int) -> None:
        """Score the generator, note it in scores.json, and keep the weights of the lowest distance as checkpoints/best.

        The weights are kept first: a run that is killed in between scores this step again.

        Raises:
            StorageFailed: on all processes, if scores.json cannot be written.
            Stopped: between two chunks of samples, on all processes, when asked to.
        """
        assert self.scorer is not None
        session, accelerator = self.session, self.session.accelerator
        entry = self.scorer.entry(sampling_generator(self.parts, accelerator), step)
        entry |= {"changed": list(session.changed)}
        scores, anew = on_main(accelerator, lambda: next_scores(session.folder, entry))
        if scores["best"] is not None and scores["best"]["step"] == step:
            session.save("best", scored=scores["best"]["weights"])
        on_main(accelerator, lambda: session.folder.write_scores(scores))
        session.track({f"scores/{name}": value for name, value in scores["last"]["scores"].items()}, step)
        if anew:
            session.say(f"the best weights are chosen again from step {step} on: {anew}")
        session.say(f"step {step}: {one_line(scores['last'])}")

    def catch_up(self, scoring: Task) -> None:
        """After a resume: forget the scores and the best weights of later steps, and score now if the run was killed
        between the checkpoint of this step and its score."""
        session, step = self.session, self.parts.step

        def cut() -> tuple[bool, dict[str, Any] | None]:
            missing = cut_scores(session.folder, step)
            session.drop_later("best")
            return missing, lost_best(session.folder, step)

        missing, lost = on_main(session.accelerator, cut)
        if lost is not None:
            session.save("best", scored=lost["weights"])
            on_main(
                session.accelerator, lambda: session.folder.write_scores(session.folder.read_scores() | {"best": lost})
            )
        if missing and scoring.due(step, session.total_steps):
            self.score(step)


@dataclass
class Callbacks:
    """Functions of the user's that are called every --log-every steps and after the last one, on the main process.

    Attributes:
        callbacks: each is called with the step, its line of metrics.jsonl, and a copy of the generator (or of its
            average) in evaluation mode.
    """

    callbacks: Sequence[Callback]
    parts: GanParts
    session: Session

    def call(self, step: int) -> None:
        """Call them, on the main process; the others wait."""
        accelerator = self.session.accelerator
        generator = sampling_generator(self.parts, accelerator)

        def call() -> None:
            for callback in self.callbacks:
                try:
                    callback(step, self.session.latest, generator)
                except (Exception, SystemExit) as error:
                    note_callback(error, step, self.session)
                    raise

        on_main(accelerator, call)


def sampling_generator(parts: GanParts, accelerator: Accelerator) -> nn.Module:
    """A copy of the generator to sample from: of its average where there is one."""
    source = accelerator.unwrap_model(parts.generator) if parts.average is None else parts.average.module
    return frozen_copy(source, accelerator)
