"""The run's Accelerator, and work that one process does for the others."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, PartialState
from accelerate.tracking import get_available_trackers
from accelerate.utils import broadcast_object_list

from mmgan.config.shared import DeviceSettings, RunSettings
from mmgan.errors import StorageFailed, UserError
from mmgan.process.meeting import meet
from mmgan.tf32 import allow_tf32

T = TypeVar("T")


def make_accelerator(run: RunSettings, device: DeviceSettings, folder: str) -> Accelerator:
    """The Accelerator of a run, with its tracker.

    Raises:
        UserError: if the tracker's package is not installed, fp16 or TF32 is wanted on a CPU, or the processes cannot
            meet.
    """
    if run.tracker != "none" and run.tracker not in [str(name) for name in get_available_trackers()]:
        raise UserError(f"--tracker {run.tracker} needs the package '{run.tracker}': pip install {run.tracker}")

    def make() -> Accelerator:
        if (device.mixed_precision or os.environ.get("ACCELERATE_MIXED_PRECISION")) == "fp16":
            refuse_on_cpu("fp16", "--mixed-precision bf16 or no")
        if device.tf32:
            refuse_on_cpu("--tf32", "leave it out")
        return Accelerator(
            mixed_precision=device.mixed_precision,
            log_with=None if run.tracker == "none" else run.tracker,
            project_dir=folder,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=False)],
        )

    accelerator = meet(make)
    allow_tf32(device.tf32)  # after the Accelerator, which may allow it by itself
    return accelerator


def refuse_on_cpu(what: str, instead: str) -> None:
    """Refuse what a CPU would ignore.

    Args:
        what: the flag or the setting.
        instead: what to do.

    Raises:
        UserError: if the run would be on a CPU.
    """
    if PartialState().device.type == "cpu":
        raise UserError(f"{what} needs a GPU, and this run is on a CPU: {instead}")


def memory_format(device: DeviceSettings) -> torch.memory_format:
    """The layout of images and convolution weights."""
    return torch.channels_last if device.channels_last else torch.contiguous_format


def where(accelerator: Accelerator) -> str:
    """The device and the number of processes, in words."""
    count = accelerator.num_processes
    return f"{accelerator.device.type}, {count} process{'es' if count > 1 else ''}"


def on_main(accelerator: Accelerator, action: Callable[[], T]) -> T:
    """Run `action` in the main process only; all processes get its result, or its UserError or StorageFailed."""
    outcome: list[Any] = [None, None]
    if accelerator.is_main_process:
        try:
            outcome[0] = action()
        except (UserError, StorageFailed) as error:
            outcome[1] = error
    broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1]
    result: T = outcome[0]
    return result


@contextmanager
def main_process_first(accelerator: Accelerator) -> Iterator[None]:
    """Each machine's main process runs the block before its other processes do. If one raises, none waits for it."""
    first = accelerator.is_local_main_process
    if not first:
        accelerator.wait_for_everyone()
    try:
        yield
    finally:
        if first:
            accelerator.wait_for_everyone()
