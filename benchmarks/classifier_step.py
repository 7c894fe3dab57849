"""Cost of mixing in a classifier's training step: --mix 1,2,pixel against none, in the trainer's own loop."""

import torch

from benchmarks.rows import Row, row_of
from benchmarks.setup import LAYERS, SEED
from benchmarks.timing import alternate
from mmgan import Mixed
from mmgan.classifiers import build_classifier
from mmgan.config.classifier import ClassifierMixSettings, ClassifierTrainingSettings
from mmgan.config.fields import Names
from mmgan.data import make_batches, make_images
from mmgan.draws import global_stream, numpy_stream
from mmgan.process.alone import Alone
from mmgan.supervised.loop import ClassifierParts, make_optimizer, make_policy, train_classifier
from mmgan.training.tasks import LoopContext


def measure(device: str, quick: bool) -> list[Row]:
    size = {"batch_size": 8, "width": 4, "steps": 2} if quick else {"batch_size": 100, "width": 16, "steps": 5}
    blocks = {layers: Block(layers, device=device, **size).run for layers in (LAYERS, "none")}
    timings = alternate(blocks, repetitions=3 if quick else 20, device=device)
    setting = f"classifier step, PreActResNet-18 {size['width']} wide, 32x32, batch {size['batch_size']}"
    detail = {"cpu": timings.cpu_ratio(LAYERS, "none").value}
    return [
        row_of(f"{setting}: {LAYERS} / none", timings.ratio(LAYERS, "none"), "x", at_most=1.02, detail=detail),
        row_of(f"{setting}: none", timings.seconds("none"), "ms", scale=1e3 / size["steps"]),
    ]


class Block:
    """A fixed number of steps of the trainer's loop, on noise."""

    def __init__(
        self, layers: str, device: str, batch_size: int, width: int, steps: int, classes: int = 10, image_size: int = 32
    ) -> None:
        count = batch_size * steps
        pixels = numpy_stream(SEED, "benchmark").integers(0, 256, (count, 3, image_size, image_size), "uint8")
        labels = torch.arange(count) % classes
        images = make_images("noise", "train", torch.from_numpy(pixels), labels, tuple(map(str, range(classes))))
        with global_stream(SEED, "init"):
            network = build_classifier("preactresnet", classes, 3, image_size, width=width)
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        mix = ClassifierMixSettings(mix=Names(layers))
        self.settings = ClassifierTrainingSettings(epochs=1, batch_size=batch_size, lr=1e-3)
        batches = make_batches(images, batch_size, seed=SEED, device=device)
        mixed = Mixed(network, mix.mix.items)
        optimizer = make_optimizer(mixed, self.settings)
        self.parts = ClassifierParts(mixed, None, optimizer, batches, make_policy(mix), classes)
        self.device, self.runs = device, 0

    def run(self) -> None:
        """Run one epoch. Each run draws new layers, the same for all blocks. Its last metrics wait for the device."""
        self.parts.step = 0
        self.runs += 1
        train_classifier(self.parts, self.settings, LoopContext(Alone(self.device), self.runs, log_every=10**9))
