"""What a step of D pays for its guard against numbers that are not finite, and for being cut into slices."""

from collections.abc import Callable

from torch import Tensor

from benchmarks.arithmetic import multiply_adds, times
from benchmarks.gan_step import discriminator_calls
from benchmarks.rows import Row, row_of
from benchmarks.setup import Gan
from benchmarks.timing import alternate
from mmgan.training.guard import Guard

SLICES = 4


class Unguarded(Guard):
    """Updates without a look at the numbers."""

    def backward(self, loss: Tensor) -> None:
        self.accelerator.backward(loss)

    def update(self, loss: Tensor) -> None:
        self.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()


def measure(device: str, quick: bool) -> list[Row]:
    """Return a row for the guard and one for accumulation."""
    gan = Gan(device, batch_size=4, d_width=16, g_width=16) if quick else Gan(device, batch_size=16)
    calls: dict[str, Callable[[], None]] = {
        "guarded": discriminator_calls(gan, "1"),
        "unguarded": discriminator_calls(gan, "1", guard=Unguarded),
    }
    setting = f"SN-ResNet {gan.d_width} wide, 32x32, batch {gan.batch_size}, mixed at 1"
    # The two differ by less than single steps do, so that it takes many of them.
    timings = alternate(calls, 3 if quick else 60, device, warmup=2)
    slices = {"sliced": discriminator_calls(gan, "1", slices=SLICES), "whole": calls["guarded"]}
    arithmetic = multiply_adds(slices["sliced"]) / multiply_adds(slices["whole"])
    sliced = alternate(slices, 3 if quick else 15, device)
    return [
        row_of(
            f"D step with its guard / without, {setting}",
            timings.ratio("guarded", "unguarded"),
            "x",
            at_most=1.01,
            arithmetic=times(1),
            detail={"cpu": timings.cpu_ratio("guarded", "unguarded").value},
        ),
        row_of(
            f"D step in {SLICES} slices (--accumulate {SLICES}) / in one, {setting}",
            sliced.ratio("sliced", "whole"),
            "x",
            arithmetic=times(arithmetic),
            detail={"multiply-adds": arithmetic, "cpu": sliced.cpu_ratio("sliced", "whole").value},
        ),
    ]
