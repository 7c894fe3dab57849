"""The terminal output of a run: a progress bar, and lines above it."""

import sys
import time
from collections.abc import Sequence
from typing import Any

from accelerate import Accelerator
from tqdm.auto import tqdm

from mmgan.errors import printable


class Console:
    """A progress bar over steps with losses and images per second, and lines above it, in the main process only."""

    def __init__(self, accelerator: Accelerator, total: int, start: int) -> None:
        self.accelerator = accelerator
        self.bar = tqdm(
            total=total,
            initial=start,
            unit="step",
            dynamic_ncols=True,
            disable=not accelerator.is_main_process,
            mininterval=0.5,
        )
        self._images = 0.0
        self._since = time.monotonic()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if self.accelerator.is_main_process:
            self.bar.write(printable(line), file=sys.stdout)

    def show(self, rows: Sequence[dict[str, Any]]) -> None:
        """Move the bar to the last row; show its losses and the images per second since the last call."""
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
