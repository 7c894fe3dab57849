"""A trainer with a fault in it: `-m tests.support.program FAULT gan|classifier FLAGS`, in one or two processes.

The faults, on rank 1 where there are two processes:

* hang-in-loading: it never gets its data
* hang-in-step: it never comes back from a step
* leave: it ends in the middle of a step, with code 0, and cleans nothing up
"""

import os
import sys
import time
from typing import Any

STEP = 3
"""The step, from 0, in which it happens."""


def inject(fault: str) -> None:
    if os.environ.get("RANK", "0") != ("1" if os.environ.get("WORLD_SIZE", "1") == "2" else "0"):
        return
    import mmgan.data.batches
    import mmgan.gan.build

    if fault == "hang-in-loading":
        mmgan.gan.build.load_split = lambda *_: hang("loading")
        return
    batch = mmgan.data.batches.Batches.batch

    def broken(self: Any, step: int) -> Any:
        if step == STEP:
            {"hang-in-step": lambda: hang("step"), "leave": lambda: os._exit(0)}[fault]()
        return batch(self, step)

    mmgan.data.batches.Batches.batch = broken  # type: ignore[method-assign]


def hang(where: str) -> Any:
    print(f"hanging in {where}", flush=True)
    time.sleep(1000)


if __name__ == "__main__":
    from importlib import import_module

    inject(sys.argv[1])
    sys.exit(import_module(f"mmgan.train_{sys.argv[2]}").main(sys.argv[3:]))
