"""Timing of calls that alternate in one process, so that other load on the machine affects all of them alike."""

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from mmgan.draws import numpy_stream

Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A median with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Timings:
    """Seconds by the name of the call, each of shape (repetitions,).

    The i-th times of all calls were taken side by side.

    Attributes:
        wall: elapsed time, on CUDA by its events.
        cpu: CPU time of this process, all threads together.
    """

    wall: Mapping[str, Seconds]
    cpu: Mapping[str, Seconds]

    def seconds(self, name: str) -> Estimate:
        """Return the median wall seconds of a call."""
        return median(self.wall[name])

    def ratio(self, name: str, to: str) -> Estimate:
        """Return the time of `name` divided by that of `to`: the median over neighbouring calls, in wall time."""
        return median(self.wall[name] / self.wall[to])

    def cpu_ratio(self, name: str, to: str) -> Estimate:
        """Return the same ratio in CPU time, which other programs on the machine disturb less."""
        return median(self.cpu[name] / self.cpu[to])


def alternate(
    calls: Mapping[str, Callable[[], object]], repetitions: int, device: torch.device | str = "cpu", warmup: int = 1
) -> Timings:
    """Time each call `repetitions` times. Each round makes every call once and reverses the order of the round before.

    Args:
        calls: the calls by name. The timing waits for their work on `device`.
        repetitions: number of rounds.
        device: device on which the calls compute.
        warmup: number of rounds before those that count.
    """
    wall: dict[str, list[float]] = {name: [] for name in calls}
    cpu: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(-warmup, repetitions):
        order = list(calls.items())
        for name, call in order if i % 2 else order[::-1]:
            elapsed, busy = _time(call, torch.device(device))
            if i >= 0:
                wall[name].append(elapsed)
                cpu[name].append(busy)
    as_arrays = ({name: np.array(values) for name, values in times.items()} for times in (wall, cpu))
    return Timings(*as_arrays)


def median(values: Seconds) -> Estimate:
    """Return the median of (n,) values, with its interval from 10,000 resamples."""
    rng = numpy_stream(0, "bootstrap")
    medians = np.median(values[rng.integers(len(values), size=(10_000, len(values)))], axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return Estimate(float(np.median(values)), float(low), float(high))


def _time(call: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Return wall and CPU seconds of a call, after collecting the garbage of earlier calls."""
    gc.collect()
    if device.type != "cuda":
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        return time.perf_counter() - wall, time.process_time() - cpu
    before, after = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize(device)
    cpu = time.process_time()
    before.record()
    call()
    after.record()
    torch.cuda.synchronize(device)
    return before.elapsed_time(after) / 1e3, time.process_time() - cpu
