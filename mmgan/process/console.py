"""The terminal output of a run: a progress bar, and lines above it."""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelerate import Accelerator


def show_config(values: dict[str, Any], accelerator: "Accelerator") -> None:
    """The resolved configuration as YAML, from one process."""
    import yaml

    if accelerator.is_main_process:
        print(yaml.safe_dump(values, sort_keys=False), end="")


class Console:
    """A progress bar over steps with losses and images/s, and lines above it; only the main process prints."""

    def __init__(self, accelerator: "Accelerator", total: int, start: int, unit: str = "step") -> None:
        from tqdm.auto import tqdm

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
