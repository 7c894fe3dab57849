"""What a training session does beside training, whatever it trains: checkpoints, metrics, lines on the terminal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from accelerate import Accelerator

from mmgan.config.parse import flat
from mmgan.config.shared import RunSettings
from mmgan.program import Console, on_main
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
from mmgan.runs.facts import refuse_changes
from mmgan.runs.folder import RunFolder


@dataclass
class Session:
    """A run folder, the processes that share the run, and what they save.

    Attributes:
        settings: how often and what is kept.
        folder: the run's.
        accelerator: the run's.
        checkpoint: makes the checkpoint of now; its facts hold what the run must not change under way.
        console: where lines go, once there is one.
    """

    settings: RunSettings
    folder: RunFolder
    accelerator: Accelerator
    checkpoint: Callable[[], Checkpoint]
    console: Console | None = None

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
        if self.settings.resume:
            saved, more = self.restore()
            step = int(saved["step"])
            on_main(self.accelerator, lambda: folder.cut_metrics(step))
        else:
            settings = flat(config) | {"out": str(folder.path), "resume": False, "overwrite": False}
            on_main(self.accelerator, lambda: folder.start(settings, overwrite=self.settings.overwrite))
        if self.settings.tracker != "none":
            self.accelerator.init_trackers("mmgan", config=flat(config))
        self.console = Console(self.accelerator, total_steps, saved["step"] if saved else 0)
        for line in [*lines, *more]:
            self.console.say(line)
        return saved

    def scaler_facts(self) -> dict[str, Any]:
        """The state of fp16's loss scale, which a checkpoint must hold."""
        scaler = self.accelerator.scaler
        return {"scaler": None if scaler is None else scaler.state_dict()}

    def save(self, name: str, checkpoint: Checkpoint) -> None:
        """A checkpoint of that name, from the main process; all wait until it is whole."""
        if self.accelerator.is_main_process:
            save_checkpoint(self.folder.checkpoints, name, checkpoint)
        self.accelerator.wait_for_everyone()

    def keep_checkpoint(self, step: int) -> None:
        """The checkpoint of this step, and no more old ones than the settings say."""
        self.save(step_name(step), self.checkpoint())
        if self.accelerator.is_main_process:
            prune_checkpoints(self.folder.checkpoints, self.settings.keep_checkpoints)

    def restore(self) -> tuple[dict[str, Any], list[str]]:
        """Load the newest checkpoint that can be trusted into what `checkpoint` names.

        Returns:
            The facts saved with it, and lines that say which it is and which were passed over.

        Raises:
            UserError: if there is none, or it was made by another run than this one's facts describe.
        """
        path, faults = newest_checkpoint(self.folder.checkpoints)
        saved, checkpoint = read_facts(path), self.checkpoint()
        refuse_changes(saved, checkpoint.facts)
        for stem, network in checkpoint.networks.items():
            load_network(path, stem, network)
        for stem, optimizer in checkpoint.optimizers.items():
            load_optimizer(path, stem, optimizer)
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(saved["scaler"])
        return saved, [*(f"passed over: {fault}" for fault in faults), f"resumed from {path} at step {saved['step']}"]

    def note_metrics(self, rows: list[dict[str, Any]]) -> None:
        """To metrics.jsonl, the tracker and the progress bar."""
        if self.accelerator.is_main_process:
            self.folder.append_metrics(rows)
        for row in rows if self.settings.tracker != "none" else []:
            self.accelerator.log({k: v for k, v in row.items() if isinstance(v, (int, float))}, step=row["step"])
        if self.console is not None:
            self.console.show(rows)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, error: object, *_: object) -> None:
        """Leave the terminal to what follows, an error's line included."""
        if self.console is not None:
            self.console.close()
        if error is None:  # no process closes its connections while another may still read from them
            self.accelerator.wait_for_everyone()
        self.accelerator.end_training()

    def say(self, line: str) -> None:
        if self.console is not None:
            self.console.say(line)
