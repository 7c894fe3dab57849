"""The surroundings of a training loop: where it runs, who reads its metrics, and the tasks that follow a step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accelerate import Accelerator


@dataclass(frozen=True)
class Task:
    """Call `run(step)` after each `every`-th step, and after the last one; 0 switches it off.

    A task sees the state after `step` steps. It must not change what training computes.
    """

    run: Callable[[int], None]
    every: int

    def due(self, step: int, last: int) -> bool:
        return _due(self.every, step, last)


@dataclass(frozen=True)
class Measure:
    """Put the numbers of `run(step)` into the metrics of each `every`-th step, and of the last one; 0 switches it off.

    As a task, it must not change what training computes.
    """

    run: Callable[[int], Mapping[str, float]]
    every: int

    def due(self, step: int, last: int) -> bool:
        return _due(self.every, step, last)


def _due(every: int, step: int, last: int) -> bool:
    return every > 0 and (step % every == 0 or step == last)


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class LoopContext:
    """The surroundings that both training loops share. Every callable runs on every process.

    Attributes:
        accelerator: the run's, or an `Alone`.
        seed: of the loop's own draws; its batches have theirs.
        log_every: steps between two calls of `on_metrics`. It is also called before a task and after the last step.
        on_metrics: gets the rows of the steps since its last call.
        measures: run after a step when due, before its metrics are passed on.
        tasks: run after that when due, in order.
        skip_non_finite: how many steps may be skipped because of losses or gradients that are not finite.
        check_stop: called after each step except the last; ends training by raising `Stopped`.
    """

    accelerator: Accelerator
    seed: int = 0
    log_every: int = 20
    on_metrics: Callable[[list[dict[str, Any]]], object] = _ignore
    measures: Sequence[Measure] = ()
    tasks: Sequence[Task] = ()
    skip_non_finite: int = 0
    check_stop: Callable[[], None] = _ignore
