"""What the programs have in common: errors in one line, one process that speaks, progress, trackers."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from mmgan.errors import Stopped, StorageFailed, TrainingFailed, UserError
from mmgan.training.stopping import EXIT_CODES

if TYPE_CHECKING:
    from accelerate import Accelerator

    from mmgan.config.shared import DeviceSettings, RunSettings

Result = TypeVar("Result")

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130


def run_program(main: Callable[[Sequence[str]], None], argv: Sequence[str] | None) -> int:
    """main(argv), with the errors that are the user's to mend told in one line.

    Returns:
        The exit code: 0, 2 for bad input, 1 for a training that failed or a file that could not be written; 143, 130 or
        0 for a training that SIGTERM, SIGINT or SIGUSR1 stopped.
    """
    try:
        main(sys.argv[1:] if argv is None else argv)
    except UserError as error:
        return _tell(error, BAD_INPUT)
    except (TrainingFailed, StorageFailed) as error:
        return _tell(error, FAILED)
    except Stopped as stopped:  # the session has said where it saved
        return EXIT_CODES[stopped.signal]
    except KeyboardInterrupt:
        return _tell(RuntimeError("interrupted"), INTERRUPTED)
    return 0


def _tell(error: Exception, code: int) -> int:
    if os.environ.get("RANK", "0") == "0":  # every process meets the same error; one tells it
        print(f"error: {error}", file=sys.stderr)
    return code


def make_accelerator(run: "RunSettings", device: "DeviceSettings", folder: str) -> "Accelerator":
    """The Accelerator of a run, with its tracker.

    Raises:
        UserError: if the tracker's package is not installed.
    """
    from accelerate import Accelerator, DistributedDataParallelKwargs
    from accelerate.tracking import get_available_trackers

    if run.tracker != "none" and run.tracker not in [str(name) for name in get_available_trackers()]:
        raise UserError(f"--tracker {run.tracker} needs the package '{run.tracker}': pip install {run.tracker}")
    return Accelerator(
        mixed_precision=device.mixed_precision,
        log_with=None if run.tracker == "none" else run.tracker,
        project_dir=folder,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=False)],
    )


def where(accelerator: "Accelerator") -> str:
    """The device and the number of processes, in words."""
    count = accelerator.num_processes
    return f"{accelerator.device.type}, {count} process{'es' if count > 1 else ''}"


def on_main(accelerator: "Accelerator", action: Callable[[], Result]) -> Result:
    """Do it in the main process alone, and give all processes its result, or its UserError or StorageFailed."""
    from accelerate.utils import broadcast_object_list

    outcome: list[Any] = [None, None]
    if accelerator.is_main_process:
        try:
            outcome[0] = action()
        except (UserError, StorageFailed) as error:
            outcome[1] = error
    broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1]
    result: Result = outcome[0]
    return result


@contextmanager
def main_process_first(accelerator: "Accelerator") -> Iterator[None]:
    """Each machine's main process does it before its others; a UserError in one is met by all, none waits for it."""
    first = accelerator.is_local_main_process
    if not first:
        accelerator.wait_for_everyone()
    try:
        yield
    finally:
        if first:
            accelerator.wait_for_everyone()


def show_config(values: dict[str, Any], accelerator: "Accelerator") -> None:
    """The resolved configuration as YAML, from one process."""
    import yaml

    if accelerator.is_main_process:
        print(yaml.safe_dump(values, sort_keys=False), end="")


class Console:
    """A progress bar over steps with losses and images/s, and lines above it; the main process alone speaks."""

    def __init__(self, accelerator: "Accelerator", total: int, start: int, unit: str = "step") -> None:
        from tqdm import tqdm

        self.accelerator = accelerator
        self.bar = tqdm(
            total=total,
            initial=start,
            unit=unit,
            dynamic_ncols=True,
            disable=not accelerator.is_main_process,
            mininterval=0.5,
        )
        self._images = 0.0
        self._since = time.monotonic()

    def say(self, line: str) -> None:
        """A line above the bar."""
        if self.accelerator.is_main_process:
            self.bar.write(line, file=sys.stdout)

    def show(self, rows: Sequence[dict[str, Any]]) -> None:
        """Move the bar on to the last of the rows, and note its losses and the images a second since the last call."""
        if not rows:
            return
        last, now = rows[-1], time.monotonic()
        rate = (last["images"] - self._images) / max(now - self._since, 1e-9) if self._images else 0.0
        self._images, self._since = last["images"], now
        losses = {name: f"{value:.3f}" for name, value in last.items() if name in ("loss_d", "loss_g", "loss")}
        if rate:
            losses["images/s"] = f"{rate:.0f}"
        self.bar.set_postfix(losses, refresh=False)
        self.bar.update(last["step"] - self.bar.n)

    def close(self) -> None:
        self.bar.close()
