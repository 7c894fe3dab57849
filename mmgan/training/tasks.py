"""What a training loop does beside training, every so many steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """Call `run(step)` after each `every`-th step, and after the last one; 0 switches it off.

    A task sees the state after `step` steps are done. It must not change what training computes.
    """

    run: Callable[[int], None]
    every: int
    at_end: bool = True

    def due(self, step: int, last: int) -> bool:
        return self.every > 0 and (step % self.every == 0 or (self.at_end and step == last))


def run_due(tasks: Sequence[Task], step: int, last: int) -> None:
    """Run the tasks that are due after `step`, in their order."""
    for task in tasks:
        if task.due(step, last):
            task.run(step)
