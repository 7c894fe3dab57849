"""Growth of a training step's time with batch, width, image size and number of classes: slopes on log-log plots."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from benchmarks.classifier_step import Block
from benchmarks.gan_step import discriminator_calls
from benchmarks.rows import Row
from benchmarks.setup import LAYERS, Gan
from benchmarks.timing import alternate

CLASSIFIER_STEPS = 2


def measure(device: str, quick: bool) -> list[Row]:
    """Return one row per varied quantity with its slope. The detail has the seconds per step."""
    sizes: dict[str, tuple[tuple[int, ...], Callable[[int], Callable[[], object]]]] = {
        "batch": (
            (4, 8) if quick else (8, 16, 32, 64),
            lambda n: discriminator_calls(Gan(device, n, d_width=16 if quick else 64, g_width=8), "1"),
        ),
        "width": (
            (8, 16) if quick else (16, 32, 64, 128),
            lambda n: discriminator_calls(Gan(device, 4 if quick else 16, d_width=n, g_width=8), "1"),
        ),
        "image size": (
            (16, 32) if quick else (16, 32, 64),
            lambda n: _classifier(device, quick, image_size=n),
        ),
        "classes": ((10, 100) if quick else (10, 100, 1000), lambda n: _classifier(device, quick, classes=n)),
    }
    rows = []
    for what, (numbers, make) in sizes.items():
        timings = alternate({str(n): make(n) for n in numbers}, 2 if quick else 5, device)
        per_call = 1 if what in ("batch", "width") else CLASSIFIER_STEPS
        seconds = [timings.seconds(str(n)).value / per_call for n in numbers]
        network = "SN-ResNet D step" if per_call == 1 else "PreActResNet-18 step"
        detail = {"of": what, "step": network, "numbers": list(numbers), "seconds": seconds}
        rows.append(Row(f"slope of {network} time against {what}, log-log", slope(numbers, seconds), "", detail=detail))
    return rows


def slope(x: tuple[int, ...], y: list[float]) -> float:
    """Fit the slope of log y against log x by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def plot(rows: list[Row], path: Path) -> None:
    """Plot seconds per step, one panel per row of `measure`, with the slope in the title."""
    figure = Figure(figsize=(8, 2.6), dpi=110, layout="constrained")
    for axes, row in zip(figure.subplots(1, len(rows), sharey=True), rows, strict=True):
        numbers = row.detail["numbers"]
        axes.loglog(numbers, row.detail["seconds"], marker="o")
        axes.set_title(f"{row.detail['step']}\nslope {row.value:.2f}", fontsize=8)
        axes.set_xlabel(f"{row.detail['of']} (pixels)" if row.detail["of"] == "image size" else row.detail["of"])
        axes.set_xticks(numbers, [str(n) for n in numbers])
        readable_seconds(axes)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("seconds per step")
    figure.savefig(path, metadata={"Software": None})


def readable_seconds(axes: Axes) -> None:
    """Set ticks at 1, 2 and 5 times the powers of ten, as plain numbers."""
    axes.minorticks_off()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda seconds, _: f"{seconds:g}")


def _classifier(device: str, quick: bool, classes: int = 10, image_size: int = 32) -> Callable[[], None]:
    batch_size, width = (8, 4) if quick else (32, 8)
    block = Block(LAYERS, device, batch_size, width, CLASSIFIER_STEPS, classes=classes, image_size=image_size)
    return block.run
