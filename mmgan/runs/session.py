"""The skeleton of any run: folder, resume or start, checkpoints, metrics, stop."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import Signals
from typing import Any, Protocol

import torch
import yaml
from torch import nn

from mmgan.config.shared import DeviceSettings, RunSettings
from mmgan.errors import Stopped, UserError
from mmgan.process.accelerator import make_accelerator, on_main
from mmgan.process.console import Console
from mmgan.process.stopping import EXIT_CODES, StopRequests
from mmgan.runs.belongings import remove_checkpoint
from mmgan.runs.checkpoints import (
    newest_checkpoint,
    prune_checkpoints,
    recover_checkpoints,
    save_checkpoint,
    step_name,
)
from mmgan.runs.facts import find_extension, list_changes, refuse_changes, run_facts
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import find_fault, load_network, load_optimizer, read_facts
from mmgan.runs.lock import RunLock
from mmgan.runs.times import Clock
from mmgan.runs.tracking import start_tracker, track_picture, track_values
from mmgan.storage import storing
from mmgan.training.tasks import LoopContext, Measure, Task


class Resumable(Protocol):
    """The parts of a training that a session saves and restores.

    Attributes:
        step: the number of steps done.
    """

    step: int

    def networks(self) -> Mapping[str, nn.Module]:
        """The networks, as `accelerator.prepare` returned them, by the name of their file."""
        ...

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """The optimizers, by the name of their file."""
        ...


class Session:
    """One run, from the check of its folder to the end of its training.

    In this order: make it, build the parts of the training, and inside `with session.lock:` `stops_here`, `begin`,
    train inside `with session:` in the `context`. Nothing is written before `begin`. All processes call every method.

    Attributes:
        settings: the seed, and how often metrics and checkpoints are saved.
        folder: the run's.
        lock: of the folder, which only the main process takes: from `stops_here` on in a run that resumes, from `begin`
            on in one that starts.
        accelerator: the run's.
        stop: whether signals ask the run to stop.
        notes: plain values that are saved with each checkpoint and restored with it.
        changed: the changes that --allow-changed accepted so far in the run's life, a line each.
        latest: the last row of metrics.

    Args:
        settings: the run's.
        device: the run's.
        values: all settings of the run, these among them.
        default_folder: the run folder where the settings name none.
        stop: whether signals ask the run to stop.

    Raises:
        UserError: if the tracker is not installed, the folder does not fit the settings, or another run is in it.
    """

    parts: Resumable
    facts: dict[str, Any]
    newest: tuple[Path, list[str]]
    total_steps: int
    console: Console

    def __init__(
        self,
        settings: RunSettings,
        device: DeviceSettings,
        values: Mapping[str, Any],
        default_folder: Path,
        stop: StopRequests,
    ) -> None:
        self.settings, self.values, self.stop = settings, values, stop
        self.folder = RunFolder(settings.out or default_folder)
        self.lock = RunLock(self.folder.path)
        self.clock = Clock(self.folder.times_file)
        self.accelerator = make_accelerator(settings, device, str(self.folder.path))
        self.notes: dict[str, Any] = {}
        self.changed: list[str] = []
        self.latest: dict[str, Any] = {}
        on_main(self.accelerator, self._check_folder)

    def _check_folder(self) -> None:
        self.lock.probe()
        self.folder.check(resume=self.settings.resume, overwrite=self.settings.overwrite)

    def stops_here(self) -> bool:
        """Find the checkpoint of a run that resumes. A dry run prints its settings.

        Returns:
            Whether this is a dry run, which stops now.

        Raises:
            UserError: if no checkpoint can be trusted, scores.json is damaged, or another run is in the folder.
        """
        if self.settings.resume:
            self.newest = on_main(self.accelerator, self._find_newest)
        if self.settings.dry_run and self.accelerator.is_main_process:
            print(yaml.safe_dump(dict(self.values), sort_keys=False), end="")
        return self.settings.dry_run

    def _find_newest(self) -> tuple[Path, list[str]]:
        """Find the newest checkpoint that can be trusted, and a line for each newer one that cannot. Unfinished files
        of a killed process are removed, but not by a dry run."""
        if not self.settings.dry_run:
            self.lock.take()
            with storing(self.folder.checkpoints):
                recover_checkpoints(self.folder.checkpoints)
        self.folder.read_scores()
        return newest_checkpoint(self.folder.checkpoints)

    def begin(
        self,
        parts: Resumable,
        *,
        total_steps: int,
        data_digest: str,
        shape: Mapping[str, Any],
        lines: Sequence[str],
        notes: Mapping[str, Any] | None = None,
        code: Mapping[str, str] | None = None,
        judge: Mapping[str, str] | None = None,
    ) -> None:
        """Make the run folder, or load the checkpoint to resume from; start the tracker and the progress bar.

        Args:
            parts: of the training; changed in place where the run resumes.
            total_steps: the number of steps after which the run ends.
            data_digest: of the training data.
            shape: what a reader needs to build the networks: channels, image_size, classes.
            lines: to print at the start.
            notes: plain values to save with each checkpoint, as they are for a new run.
            code: of networks that are the user's own, as `run_facts` takes it.
            judge: digests of what scores depend on besides the settings, as in `facts.OPTIONAL`; None: no scores.

        Raises:
            UserError: if the checkpoint was made under other conditions.
        """
        self.parts, self.total_steps, self.notes = parts, total_steps, dict(notes or {})
        processes = self.accelerator.num_processes
        conditions = run_facts(self.values, data_digest=data_digest, processes=processes, code=code)
        self.facts = conditions | dict(shape) | dict(judge or {}) | {"precision": self.accelerator.mixed_precision}
        own = {"out": str(self.folder.path), "resume": False, "overwrite": False, "allow_changed": False}
        values = dict(self.values) | own
        more: list[str] = []
        if self.settings.resume:
            more = self._restore(values)
        else:
            on_main(self.accelerator, lambda: self._start(values))
        if self.settings.tracker != "none":
            start_tracker(self.accelerator, self.values, self.folder.path)
        self.console = Console(self.accelerator, total_steps, parts.step)
        on_main(self.accelerator, lambda: self.clock.start(parts.step))
        if not self.lock.supported:
            more.append(f"{self.folder.path} is on a file system without locks: a second run here would not be refused")
        for line in [*lines, *more]:
            self.say(line)

    def _start(self, values: Mapping[str, Any]) -> None:
        with storing(self.folder.path):
            self.folder.path.mkdir(parents=True, exist_ok=True)
        self.lock.take()
        # Again: a run that began in the meantime may have ended in the meantime.
        self.folder.check(resume=False, overwrite=self.settings.overwrite)
        self.folder.start(values, overwrite=self.settings.overwrite)

    def _restore(self, values: Mapping[str, Any]) -> list[str]:
        """Load the newest checkpoint into the parts and drop the metrics after it. Where --allow-changed accepts a
        change, or the run is extended, `values` go to config.yaml. The lines that are returned name the checkpoint and
        those passed over."""
        path, faults = self.newest
        saved = read_facts(path)
        step = int(saved["step"])
        metrics_fault = on_main(
            self.accelerator, lambda: self.folder.find_metrics_fault(step, str(saved.get("metrics")))
        )
        changes = list_changes(saved, self.facts) + ([metrics_fault] if metrics_fault else [])
        if not self.settings.allow_changed:
            refuse_changes(changes)
        if self.total_steps < step:
            raise UserError(f"the run has done {step} steps, more than the {self.total_steps} that it is to have now")
        extension = find_extension(saved, self.facts)
        longer = [extension.in_words(step)] if extension else []
        for stem, network in self.parts.networks().items():
            load_network(path, stem, self.accelerator.unwrap_model(network))
        for stem, optimizer in self.parts.optimizers().items():
            load_optimizer(path, stem, optimizer)
        if self.accelerator.scaler is not None:
            if not saved.get("scaler"):
                raise UserError(f"{path} holds no loss scale: it was not made with --mixed-precision fp16")
            self.accelerator.scaler.load_state_dict(saved["scaler"])
        self.parts.step = step
        self.notes = {name: saved.get(name, value) for name, value in self.notes.items()}
        # With a constant rate a longer run is the run that was begun so: nothing has changed.
        noted = changes + (longer if extension and extension.falls_from is not None else [])
        self.changed = [*saved.get("changed", []), *(f"from step {step} on: {change}" for change in noted)]

        def tidy() -> None:
            self.folder.cut_metrics(step)
            if changes or extension:
                self.folder.write_config(values)

        on_main(self.accelerator, tidy)
        return [
            *(f"passed over: {fault}" for fault in faults),
            *(f"--allow-changed: going on although {change}" for change in changes),
            *(f"extended: {line}" for line in longer),
            f"resumed from {path} at step {step}",
        ]

    def drop_later(self, name: str) -> bool:
        """Remove a checkpoint whose step the run has not reached: the run abandoned it when it resumed from an earlier
        step. For the main process.

        Returns:
            Whether there was one.
        """
        path = self.folder.checkpoints / name
        if not path.is_dir() or find_fault(path) is not None or int(read_facts(path)["step"]) <= self.parts.step:
            return False
        with storing(path):
            remove_checkpoint(path)
        return True

    def save(self, name: str, *, optimizers: bool = True, **facts: Any) -> None:
        """Save a checkpoint of the current state; all processes wait until it is whole.

        Args:
            name: of its folder.
            optimizers: False leaves them out, for a checkpoint that no run resumes from.
            facts: further plain values to save.

        Raises:
            StorageFailed: on all processes, if it cannot be written.
        """
        networks = {stem: self.accelerator.unwrap_model(net) for stem, net in self.parts.networks().items()}
        state = networks, self.parts.optimizers() if optimizers else {}, self.progress() | facts
        on_main(self.accelerator, lambda: save_checkpoint(self.folder.checkpoints, name, *state))

    def progress(self) -> dict[str, Any]:
        """The current facts: the run's conditions, its step and notes, fp16's loss scale, and accepted changes."""
        scaler = self.accelerator.scaler
        own = {"scaler": None if scaler is None else scaler.state_dict(), "changed": self.changed}
        return self.facts | {"step": self.parts.step} | self.notes | own

    def keep_checkpoint(self, step: int) -> None:
        """Save the checkpoint of this step and remove old ones, as the settings say. The metrics up to this step must
        have been noted."""
        self.save(step_name(step), metrics=on_main(self.accelerator, self.folder.seal_metrics))
        keep = self.settings.keep_checkpoints
        on_main(self.accelerator, lambda: prune_checkpoints(self.folder.checkpoints, keep, step))

    def checkpoints(self, unit: int = 1) -> Task:
        """The task that keeps checkpoints; --checkpoint-every counts in units of `unit` steps."""
        return Task(self.keep_checkpoint, self.settings.checkpoint_every * unit or self.total_steps)

    def context(self, *tasks: Task, measures: Sequence[Measure] = ()) -> LoopContext:
        """The surroundings of the run's training loop."""
        return LoopContext(
            self.accelerator,
            self.settings.seed,
            self.settings.log_every,
            self.note_metrics,
            measures,
            tasks,
            self.settings.skip_non_finite,
            self.stop.check,
        )

    def note_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Write rows to metrics.jsonl, their time to times.jsonl, and them to the tracker and the progress bar; print a
        line for each skipped step."""

        def note() -> None:
            self.folder.append_metrics(rows)
            if rows:
                self.clock.note(rows[-1]["step"])

        on_main(self.accelerator, note)
        self.latest = rows[-1] if rows else self.latest
        for row in rows:
            if "non_finite" in row:
                self.say(f"step {row['step']}: {row['non_finite']}; updates skipped: {row['skipped']}")
        for row in rows:
            self.track(row, row["step"])
        self.console.show(rows)

    def track(self, values: Mapping[str, Any], step: int) -> None:
        """Send the numbers among the values to the tracker, if there is one."""
        if self.settings.tracker != "none":
            track_values(self.accelerator, values, step)

    def track_picture(self, name: str, path: Path, step: int) -> None:
        """Send a picture to the tracker, if there is one; the main process has written it."""
        if self.settings.tracker != "none":
            track_picture(self.accelerator, name, path, step)

    def __enter__(self) -> "Session":
        """From here on a signal makes the run save a checkpoint."""
        self.stop.share(self.accelerator)
        return self

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> None:
        """Keep a checkpoint if the run was asked to stop, and close the progress bar and the tracker."""
        if isinstance(error, Stopped):
            step = self.parts.step
            self.keep_checkpoint(step)
            self.say(
                f"stopped by {error.signal.name} after step {step}, exit code {EXIT_CODES[error.signal]}: "
                f"{'requeue' if error.signal is Signals.SIGUSR1 else 'go on'} with --resume --out {self.folder.path}"
            )
        self.console.close()
        if error is None or isinstance(error, Stopped):
            # No process closes its connections while another may still read from them.
            self.accelerator.wait_for_everyone()
        self.accelerator.end_training()

    def say(self, line: str) -> None:
        """Print a line above the progress bar, from the main process."""
        self.console.say(line)
