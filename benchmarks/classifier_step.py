"""Cost of mixing in a classifier's training step, in the trainer's own loop: --mix 1,2,pixel against none, and AdaMix
against input mixup."""

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
from mmgan.supervised.adamix import HIDDEN, AdaMix, IntrusionDiscriminator, PolicyRegionGenerator, WithFeatures
from mmgan.supervised.loop import ClassifierParts, make_optimizer, make_policy, train_classifier
from mmgan.training.tasks import LoopContext

PIXEL, ADAMIX = "pixel", "AdaMix"


def measure(device: str, quick: bool) -> list[Row]:
    size = {"batch_size": 8, "width": 4, "steps": 2} if quick else {"batch_size": 100, "width": 16, "steps": 5}
    blocks = {layers: Block(layers, device=device, **size).run for layers in (LAYERS, "none", PIXEL)}
    blocks[ADAMIX] = Block(PIXEL, device=device, learned=True, **size).run
    timings = alternate(blocks, repetitions=3 if quick else 13, device=device)
    setting = f"classifier step, PreActResNet-18 {size['width']} wide, 32x32, batch {size['batch_size']}"
    detail = {"cpu": timings.cpu_ratio(LAYERS, "none").value}
    learned = {"cpu": timings.cpu_ratio(ADAMIX, PIXEL).value}
    return [
        row_of(f"{setting}: {LAYERS} / none", timings.ratio(LAYERS, "none"), "x", at_most=1.02, detail=detail),
        row_of(f"{setting}: {ADAMIX} / input mixup", timings.ratio(ADAMIX, PIXEL), "x", detail=learned),
        row_of(f"{setting}: none", timings.seconds("none"), "ms", scale=1e3 / size["steps"]),
    ]


class Block:
    """A fixed number of steps of the trainer's loop, on noise."""

    def __init__(
        self,
        layers: str,
        device: str,
        batch_size: int,
        width: int,
        steps: int,
        classes: int = 10,
        image_size: int = 32,
        learned: bool = False,
    ) -> None:
        count = batch_size * steps
        pixels = numpy_stream(SEED, "benchmark").integers(0, 256, (count, 3, image_size, image_size), "uint8")
        labels = torch.arange(count) % classes
        images = make_images("noise", "train", torch.from_numpy(pixels), labels, tuple(map(str, range(classes))))
        with global_stream(SEED, "init"):
            network, body = (build_classifier("preactresnet", n, 3, image_size, width=width) for n in (classes, HIDDEN))
        mix = ClassifierMixSettings(mix=Names(layers), lam="adamix" if learned else "beta")
        self.settings = ClassifierTrainingSettings(epochs=1, batch_size=batch_size, lr=1e-3)
        batches = make_batches(images, batch_size, seed=SEED, device=device)
        mixed = Mixed(WithFeatures(network) if learned else network, mix.mix.items)
        adamix = None
        if learned:
            discriminator = IntrusionDiscriminator(network.linear.in_features, classes)
            adamix = AdaMix(mixed, PolicyRegionGenerator(body), discriminator)
        trained = adamix or mixed
        trained.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = make_optimizer(trained, self.settings)
        self.parts = ClassifierParts(trained, None, optimizer, batches, make_policy(mix), classes, adamix=adamix)
        self.device, self.runs = device, 0

    def run(self) -> None:
        """Run one epoch. Each run draws new layers, the same for all blocks. Its last metrics wait for the device."""
        self.parts.step = 0
        self.runs += 1
        train_classifier(self.parts, self.settings, LoopContext(Alone(self.device), self.runs, log_every=10**9))
