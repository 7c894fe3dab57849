"""Times of calls that alternate in one process, so that whatever else the machine does falls on all of them alike."""

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
    """A median, and the bootstrap interval that holds it in 95 of 100 cases."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Timings:
    """Seconds by the name of the call, each (repetitions,); the i-th of all calls were taken side by side.

    Attributes:
        wall: elapsed; on CUDA by its events.
        cpu: this process's, all threads.
    """

    wall: Mapping[str, Seconds]
    cpu: Mapping[str, Seconds]

    def seconds(self, name: str) -> Estimate:
        """Median wall seconds of a call."""
        return median(self.wall[name])

    def ratio(self, name: str, to: str) -> Estimate:
        """How many times longer `name` takes than `to`: the median over neighbours in wall time."""
        return median(self.wall[name] / self.wall[to])

    def cpu_ratio(self, name: str, to: str) -> Estimate:
        """The same in CPU time, which other programs on the machine disturb less."""
        return median(self.cpu[name] / self.cpu[to])


def alternate(
    calls: Mapping[str, Callable[[], object]], repetitions: int, device: torch.device | str = "cpu", warmup: int = 1
) -> Timings:
    """Time each call `repetitions` times: one of each in turn, in an order that is turned round each time.

    Args:
        calls: by name. What one computes on `device` is waited for.
        repetitions: rounds.
        device: where the calls compute.
        warmup: rounds before those that count.
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
    """The median of (n,) values, with its interval from 10,000 resamples."""
    rng = numpy_stream(0, "bootstrap")
    medians = np.median(values[rng.integers(len(values), size=(10_000, len(values)))], axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return Estimate(float(np.median(values)), float(low), float(high))


def _time(call: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Wall and CPU seconds of a call, garbage of the calls before it cleared away."""
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
