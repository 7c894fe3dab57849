"""What a training session does beside training, whatever it trains: checkpoints, metrics, lines on the terminal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from signal import Signals
from typing import Any

from accelerate import Accelerator

from mmgan.config.parse import flat
from mmgan.config.shared import RunSettings
from mmgan.errors import Stopped, UserError
from mmgan.process.accelerator import on_main
from mmgan.process.console import Console
from mmgan.process.stopping import EXIT_CODES, StopRequests
from mmgan.runs.checkpoints import (
    Checkpoint,
    newest_checkpoint,
    prune_checkpoints,
    recover_checkpoints,
    save_checkpoint,
    step_name,
)
from mmgan.runs.facts import list_changes, refuse_changes
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import load_network, load_optimizer, read_facts


def find_resumable(folder: RunFolder, accelerator: Accelerator) -> tuple[Path, list[str]]:
    """Where a run goes on from, the same on all processes: its newest checkpoint that can be trusted, and a line for
    each newer one that cannot. What a kill left half done is cleared away.

    Raises:
        UserError: if there is none, or scores.json is damaged.
    """

    def find() -> tuple[Path, list[str]]:
        if folder.checkpoints.is_dir():
            recover_checkpoints(folder.checkpoints)
        folder.read_scores()
        return newest_checkpoint(folder.checkpoints)

    return on_main(accelerator, find)


@dataclass
class Session:
    """A run folder, the processes that share the run, and what they save.

    Attributes:
        settings: how often and what is kept.
        folder: the run's.
        accelerator: the run's.
        checkpoint: makes the checkpoint of now; its facts hold what the run must not change under way.
        stop: what signals ask for.
        console: where lines go, once there is one.
        changed: what --allow-changed let pass so far in the run's life, a line each.
    """

    settings: RunSettings
    folder: RunFolder
    accelerator: Accelerator
    checkpoint: Callable[[], Checkpoint]
    stop: StopRequests
    console: Console | None = None
    changed: list[str] = field(default_factory=list)

    def begin(self, config: Any, total_steps: int, lines: Sequence[str]) -> dict[str, Any] | None:
        """Make the run folder, or load the newest checkpoint of the run in it; start tracker and progress bar.

        Args:
            config: all settings of the run, in groups.
            total_steps: where the run ends.
            lines: what there is to say of it.

        Returns:
            The facts of the checkpoint that the run goes on from; None for a new run.

        Raises:
            UserError: if there is no checkpoint to go on from, or it was made under other conditions.
        """
        folder, saved = self.folder, None
        more: list[str] = []
        fresh = {"out": str(folder.path), "resume": False, "overwrite": False, "allow_changed": False}
        settings = flat(config) | fresh
        if self.settings.resume:
            saved, more = self.restore(settings)
        else:
            on_main(self.accelerator, lambda: folder.start(settings, overwrite=self.settings.overwrite))
        if self.settings.tracker != "none":
            self.accelerator.init_trackers("mmgan", config=flat(config))
        self.console = Console(self.accelerator, total_steps, saved["step"] if saved else 0)
        for line in [*lines, *more]:
            self.console.say(line)
        return saved

    def session_facts(self) -> dict[str, Any]:
        """What a checkpoint must hold beside the run's own facts: fp16's loss scale, and what changed under way."""
        scaler = self.accelerator.scaler
        return {"scaler": None if scaler is None else scaler.state_dict(), "changed": self.changed}

    def save(self, name: str, checkpoint: Checkpoint) -> None:
        """A checkpoint of that name, from the main process; all wait until it is whole.

        Raises:
            StorageFailed: on all processes, if it cannot be written.
        """
        on_main(self.accelerator, lambda: save_checkpoint(self.folder.checkpoints, name, checkpoint))

    def keep_checkpoint(self, step: int) -> None:
        """The checkpoint of this step, and no more old ones than the settings say. The metrics up to this step must
        have been noted."""
        sealed = {"metrics": on_main(self.accelerator, self.folder.seal_metrics)}
        now = self.checkpoint()
        self.save(step_name(step), replace(now, facts={**now.facts, **sealed}))
        keep = self.settings.keep_checkpoints
        on_main(self.accelerator, lambda: prune_checkpoints(self.folder.checkpoints, keep, step))

    def restore(self, settings: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Load the newest checkpoint that can be trusted into what `checkpoint` names, and drop the metrics after it.

        Args:
            settings: for config.yaml, where --allow-changed let them be others than before.

        Returns:
            The facts saved with it, and lines that say which it is and which were passed over.

        Raises:
            UserError: if there is none, or it was made by another run than this one's facts describe.
        """
        path, faults = find_resumable(self.folder, self.accelerator)
        saved, checkpoint = read_facts(path), self.checkpoint()
        step = int(saved["step"])
        metrics_fault = on_main(
            self.accelerator, lambda: self.folder.find_metrics_fault(step, str(saved.get("metrics")))
        )
        changes = list_changes(saved, checkpoint.facts) + ([metrics_fault] if metrics_fault else [])
        if not self.settings.allow_changed:
            refuse_changes(changes)
        for stem, network in checkpoint.networks.items():
            load_network(path, stem, network)
        for stem, optimizer in checkpoint.optimizers.items():
            load_optimizer(path, stem, optimizer)
        if self.accelerator.scaler is not None:
            if not saved.get("scaler"):
                raise UserError(f"{path} holds no loss scale: it was not made with --mixed-precision fp16")
            self.accelerator.scaler.load_state_dict(saved["scaler"])
        self.changed = [*saved.get("changed", []), *(f"from step {step} on: {change}" for change in changes)]

        def tidy() -> None:
            self.folder.cut_metrics(step)
            if changes:
                self.folder.write_config(settings)

        on_main(self.accelerator, tidy)
        return saved, [
            *(f"passed over: {fault}" for fault in faults),
            *(f"--allow-changed: going on although {change}" for change in changes),
            f"resumed from {path} at step {step}",
        ]

    def note_metrics(self, rows: list[dict[str, Any]]) -> None:
        """To metrics.jsonl, the tracker and the progress bar; a line for each step that was skipped."""
        on_main(self.accelerator, lambda: self.folder.append_metrics(rows))
        for row in rows:
            if "non_finite" in row:
                self.say(f"step {row['step']}: {row['non_finite']}; updates skipped: {row['skipped']}")
        for row in rows if self.settings.tracker != "none" else []:
            self.accelerator.log({k: v for k, v in row.items() if isinstance(v, (int, float))}, step=row["step"])
        if self.console is not None:
            self.console.show(rows)

    def __enter__(self) -> "Session":
        """From here on there is something to save."""
        self.stop.share(self.accelerator)
        return self

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> None:
        """Keep a checkpoint if the run was asked to stop. Leave the terminal to what follows, an error's line too."""
        if isinstance(error, Stopped):
            step = int(self.checkpoint().facts["step"])
            self.keep_checkpoint(step)
            self.say(
                f"stopped by {error.signal.name} after step {step}, exit code {EXIT_CODES[error.signal]}: "
                f"{'requeue' if error.signal is Signals.SIGUSR1 else 'go on'} with --resume --out {self.folder.path}"
            )
        if self.console is not None:
            self.console.close()
        if error is None or isinstance(error, Stopped):
            # No process closes its connections while another may still read from them.
            self.accelerator.wait_for_everyone()
        self.accelerator.end_training()

    def say(self, line: str) -> None:
        if self.console is not None:
            self.console.say(line)
