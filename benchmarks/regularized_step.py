"""Cost of each regularizer in a discriminator's step, with mixing and without, next to the arithmetic of the step."""

from collections.abc import Callable

from benchmarks.arithmetic import multiply_adds, times
from benchmarks.gan_step import discriminator_calls
from benchmarks.rows import Row, row_of
from benchmarks.setup import Gan
from benchmarks.timing import alternate
from mmgan.config.fields import Names
from mmgan.config.gan import GanRegularizerSettings
from mmgan.gan.regularization import make_augment
from mmgan.regularizers import make_regularizers

ARMS = {
    "R1": GanRegularizerSettings(r1=10.0),
    "R2": GanRegularizerSettings(r2=10.0),
    "R1 and R2": GanRegularizerSettings(r1=10.0, r2=10.0),
    "gradient penalty": GanRegularizerSettings(gradient_penalty=10.0),
    "LeCam": GanRegularizerSettings(lecam=0.3),
    "bCR": GanRegularizerSettings(bcr=10.0),
    "zCR": GanRegularizerSettings(zcr=5.0),
    "DiffAugment": GanRegularizerSettings(diffaugment=Names("color,translation,cutout")),
}
MARGIN = 1.1
"""How much more time than arithmetic a step may take."""


def measure(device: str, quick: bool) -> list[Row]:
    """Time the trainer's own step with every penalty due. Fakes are ready-made, so zCR's second generation is free."""
    gan = Gan(device, batch_size=4, d_width=16, g_width=16) if quick else Gan(device, batch_size=16)
    return [row for layer in ("none", "1") for row in _rows(gan, layer, 3 if quick else 5)]


def _rows(gan: Gan, layer: str, repetitions: int) -> list[Row]:
    none = GanRegularizerSettings()
    calls = {name: _step(gan, layer, settings) for name, settings in ({"none": none} | ARMS).items()}
    counted = {name: multiply_adds(call) for name, call in calls.items()}
    timings = alternate(calls, repetitions, gan.device)
    mixed = "no mixing" if layer == "none" else f"mixed at {layer}"
    setting = f"SN-ResNet {gan.d_width} wide, 32x32, batch {gan.batch_size}, {mixed}"
    rows = []
    for name in ARMS:
        arithmetic = counted[name] / counted["none"]
        rows.append(
            row_of(
                f"D step with {name} / without, {setting}",
                timings.ratio(name, "none"),
                "x",
                at_most=round(MARGIN * arithmetic, 2),
                arithmetic=times(arithmetic),
                detail={"multiply-adds": arithmetic, "cpu": timings.cpu_ratio(name, "none").value},
            )
        )
    return rows


def _step(gan: Gan, layer: str, settings: GanRegularizerSettings) -> Callable[[], None]:
    regularizers = make_regularizers(settings, flip=True).to(gan.device)
    return discriminator_calls(gan, layer, regularizers, make_augment(settings))
