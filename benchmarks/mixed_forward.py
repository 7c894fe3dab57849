"""Cost of `Mixed` where nothing is mixed (a plain forward), and of drawing a plan."""

from collections.abc import Callable

import torch

from benchmarks.rows import Row, row_of
from benchmarks.setup import LAYERS, Gan
from benchmarks.timing import alternate, median
from mmgan import Mixed, RealFakePolicy

DRAWS, BATCH = 200, 128


def measure(device: str, quick: bool) -> list[Row]:
    gan = Gan(device, batch_size=4, d_width=16) if quick else Gan(device, batch_size=16)
    model = gan.networks()[1].eval()
    x = torch.randn(gan.batch_size, 3, 32, 32, device=device)
    calls = {"Mixed(model)(x)": _forward(Mixed(model, LAYERS), x), "model(x)": _forward(model, x)}
    timings = alternate(calls, repetitions=5 if quick else 80, device=device, warmup=3)
    detail = {"cpu": timings.cpu_ratio(*calls).value}
    ratio = row_of(
        f"Mixed(model)(x) / model(x), SN-ResNet {gan.d_width} wide, batch {gan.batch_size}",
        timings.ratio(*calls),
        "x",
        at_most=1.005,
        detail=detail,
    )
    policy = RealFakePolicy(LAYERS)

    def draw() -> None:
        for step in range(DRAWS):
            policy.draw(BATCH, step)

    draws = alternate({"draw": draw}, repetitions=5 if quick else 25)
    cpu = median(draws.cpu["draw"]).value * 1e6 / DRAWS
    time = row_of(
        f"drawing a plan, batch {BATCH}",
        draws.seconds("draw"),
        "us",
        scale=1e6 / DRAWS,
        at_most=100,
        detail={"cpu": cpu},
    )
    return [ratio, time]


def _forward(model: torch.nn.Module, x: torch.Tensor) -> Callable[[], None]:
    def forward() -> None:
        with torch.no_grad():
            model(x)

    return forward
