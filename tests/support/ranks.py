"""Ranks as threads of one process."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mmgan.errors import UserError
from mmgan.scoring import Processes


def on_ranks(count: int, task: Callable[[Processes], Any]) -> list[Any]:
    """The task on `count` ranks at once, as threads; what each returned or raised."""
    barrier, slots = threading.Barrier(count, timeout=20), [None] * count

    def run(rank: int) -> Any:
        def gather(item: Any) -> list[Any]:
            slots[rank] = item
            barrier.wait()
            items = list(slots)
            barrier.wait()
            return items

        try:
            return task(Processes(rank, count, gather))
        except UserError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
