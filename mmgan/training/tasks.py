"""What follows a training step: metrics, tasks such as checkpoints and scores, and a look whether to stop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mmgan.errors import Stopped
from mmgan.training.metrics import Metrics


@dataclass(frozen=True)
class Task:
    """Call `run(step)` after each `every`-th step, and after the last one; 0 switches it off.

    A task sees the state after `step` steps. It must not change what training computes.
    """

    run: Callable[[int], None]
    every: int

    def due(self, step: int, last: int) -> bool:
        return self.every > 0 and (step % self.every == 0 or step == last)


def finish_step(
    metrics: Metrics, tasks: Sequence[Task], step: int, last: int, log_every: int, check_stop: Callable[[], None]
) -> None:
    """Read the metrics if somebody needs them now, run the tasks that are due, and stop if asked to.

    Args:
        metrics: holds those of `step` already.
        tasks: run in their order.
        step: the number of steps done.
        last: the number of steps after which training ends.
        log_every: steps between two readings of the metrics; they are also read after the last step and before a task.
        check_stop: ends training by raising `Stopped`; not called after the last step.
    """
    due = [task for task in tasks if task.due(step, last)]
    if due or step % log_every == 0 or step == last:
        metrics.flush()
    for task in due:
        task.run(step)
    if step < last:
        try:
            check_stop()
        except Stopped:
            metrics.flush()  # whoever catches it saves a checkpoint, which needs them
            raise
