"""The skeleton of a run, whatever it trains: folder, resume or start, checkpoints, metrics, stop, report."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from signal import Signals
from typing import Any, Protocol

import torch
from torch import nn

from mmgan.config.parse import flat_groups
from mmgan.config.shared import DeviceSettings, RunSettings
from mmgan.errors import Stopped, UserError
from mmgan.process.accelerator import make_accelerator, on_main
from mmgan.process.console import Console, show_config
from mmgan.process.stopping import EXIT_CODES, StopRequests
from mmgan.runs.checkpoints import (
    Checkpoint,
    newest_checkpoint,
    prune_checkpoints,
    recover_checkpoints,
    save_checkpoint,
    step_name,
)
from mmgan.runs.facts import list_changes, refuse_changes, run_facts
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import load_network, load_optimizer, read_facts
from mmgan.training.tasks import Task


class Resumable(Protocol):
    """What a run trains, as a session saves and restores it.

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
    """One run, from the check of its folder to its report.

    In this order: make it, build what is to be trained, `stops_here`, `begin`, train inside `with session:`, `end`.
    Nothing is written before `begin`. All processes call every method.

    Attributes:
        settings: what is saved, and how often.
        folder: the run's.
        accelerator: the run's.
        stop: what signals ask for.
        notes: plain values that are saved with each checkpoint and restored with it.
        changed: the changes that --allow-changed accepted so far in the run's life, a line each.

    Args:
        settings: the run's.
        device: the run's.
        default_folder: the run folder where the settings name none.
        stop: what signals ask for.

    Raises:
        UserError: if the tracker is not installed, or the folder does not fit what is asked for.
    """

    parts: Resumable
    facts: dict[str, Any]
    total_steps: int
    console: Console

    def __init__(
        self, settings: RunSettings, device: DeviceSettings, default_folder: str | Path, stop: StopRequests
    ) -> None:
        self.settings, self.stop = settings, stop
        self.folder = RunFolder(settings.out or default_folder)
        self.accelerator = make_accelerator(settings, device, str(self.folder.path))
        self.notes: dict[str, Any] = {}
        self.changed: list[str] = []
        self._newest: tuple[Path, list[str]] | None = None
        on_main(self.accelerator, lambda: self.folder.check(resume=settings.resume, overwrite=settings.overwrite))

    def stops_here(self, groups: Sequence[Any]) -> bool:
        """Find the checkpoint to resume from, if there is to be one. Whether this is a dry run, which stops now.

        Args:
            groups: all settings of the run; a dry run prints them.

        Raises:
            UserError: if no checkpoint can be trusted, or scores.json is damaged.
        """
        if self.settings.resume:
            self._newest = on_main(self.accelerator, self._find_newest)
        if self.settings.dry_run:
            show_config(flat_groups(groups), self.accelerator)
        return self.settings.dry_run

    def _find_newest(self) -> tuple[Path, list[str]]:
        """The newest checkpoint that can be trusted, and a line for each newer one that cannot. What a killed process
        left unfinished is cleared away."""
        if self.folder.checkpoints.is_dir():
            recover_checkpoints(self.folder.checkpoints)
        self.folder.read_scores()
        return newest_checkpoint(self.folder.checkpoints)

    def begin(
        self,
        parts: Resumable,
        groups: Sequence[Any],
        *,
        total_steps: int,
        data_digest: str,
        shape: Mapping[str, int],
        lines: Sequence[str],
        notes: Mapping[str, Any] | None = None,
    ) -> bool:
        """Make the run folder, or load the checkpoint to resume from; start the tracker and the progress bar.

        Args:
            parts: what is trained; changed in place where the run resumes.
            groups: all settings of the run.
            total_steps: the number of steps after which the run ends.
            data_digest: of the training data.
            shape: what a reader must know to build the networks: channels, image_size, classes.
            lines: what the run says of itself at its start.
            notes: plain values to save with each checkpoint, as they are for a new run.

        Returns:
            Whether the run resumes.

        Raises:
            UserError: if the checkpoint was made under other conditions.
        """
        self.parts, self.total_steps, self.notes = parts, total_steps, dict(notes or {})
        self.facts = run_facts(
            [group for group in groups if not isinstance(group, RunSettings)],
            seed=self.settings.seed,
            data_digest=data_digest,
            processes=self.accelerator.num_processes,
        ) | dict(shape)
        values = flat_groups(groups)
        own = {"out": str(self.folder.path), "resume": False, "overwrite": False, "allow_changed": False}
        more: list[str] = []
        if self.settings.resume:
            path, faults = self._newest or on_main(self.accelerator, self._find_newest)
            more = self._restore(path, faults, values | own)
        else:
            on_main(self.accelerator, lambda: self.folder.start(values | own, overwrite=self.settings.overwrite))
        if self.settings.tracker != "none":
            self.accelerator.init_trackers("mmgan", config=values)
        self.console = Console(self.accelerator, total_steps, parts.step)
        for line in [*lines, *more]:
            self.say(line)
        return self.settings.resume

    def _restore(self, path: Path, faults: Sequence[str], values: Mapping[str, Any]) -> list[str]:
        """Load a checkpoint into the parts and drop the metrics after it.

        Args:
            path: the checkpoint.
            faults: what is wrong with newer ones.
            values: for config.yaml, where --allow-changed accepts a change.

        Returns:
            Lines that say which checkpoint it is, and which were passed over.

        Raises:
            UserError: if it was made under other conditions.
        """
        saved = read_facts(path)
        step = int(saved["step"])
        metrics_fault = on_main(
            self.accelerator, lambda: self.folder.find_metrics_fault(step, str(saved.get("metrics")))
        )
        changes = list_changes(saved, self.facts) + ([metrics_fault] if metrics_fault else [])
        if not self.settings.allow_changed:
            refuse_changes(changes)
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
        self.changed = [*saved.get("changed", []), *(f"from step {step} on: {change}" for change in changes)]

        def tidy() -> None:
            self.folder.cut_metrics(step)
            if changes:
                self.folder.write_config(values)

        on_main(self.accelerator, tidy)
        return [
            *(f"passed over: {fault}" for fault in faults),
            *(f"--allow-changed: going on although {change}" for change in changes),
            f"resumed from {path} at step {step}",
        ]

    def save(self, name: str, *, optimizers: bool = True, **facts: Any) -> None:
        """Save a checkpoint of now under that name; all processes wait until it is whole.

        Args:
            name: of its folder.
            optimizers: False leaves them out of a checkpoint that no run resumes from.
            facts: further plain values to save.

        Raises:
            StorageFailed: on all processes, if it cannot be written.
        """
        networks = {stem: self.accelerator.unwrap_model(net) for stem, net in self.parts.networks().items()}
        checkpoint = Checkpoint(networks, self.parts.optimizers() if optimizers else {}, self.progress() | facts)
        on_main(self.accelerator, lambda: save_checkpoint(self.folder.checkpoints, name, checkpoint))

    def progress(self) -> dict[str, Any]:
        """The facts of now: the run's conditions, its step and notes, fp16's loss scale, and what changed."""
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
        """The task that keeps checkpoints; --checkpoint-every counts in units of so many steps."""
        return Task(self.keep_checkpoint, self.settings.checkpoint_every * unit or self.total_steps)

    def note_metrics(self, rows: list[dict[str, Any]]) -> None:
        """To metrics.jsonl, the tracker and the progress bar; a line for each step that was skipped."""
        on_main(self.accelerator, lambda: self.folder.append_metrics(rows))
        for row in rows:
            if "non_finite" in row:
                self.say(f"step {row['step']}: {row['non_finite']}; updates skipped: {row['skipped']}")
        for row in rows if self.settings.tracker != "none" else []:
            self.accelerator.log({k: v for k, v in row.items() if isinstance(v, (int, float))}, step=row["step"])
        self.console.show(rows)

    def __enter__(self) -> "Session":
        """From here on there is something to save."""
        self.stop.share(self.accelerator)
        return self

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> None:
        """Keep a checkpoint if the run was asked to stop, and free the terminal for what follows."""
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
        """A line above the progress bar, from the main process."""
        self.console.say(line)

    def end(self, write_report: Callable[[RunFolder], object], closing: Callable[[], str]) -> None:
        """In the main process, write the report and print the run's last words."""
        if self.accelerator.is_main_process:
            write_report(self.folder)
            print(closing())
