"""What mixing costs: a classifier's training step with --mix 1,2,pixel against one without.

Blocks of steps of the trainer's own loop, with and without mixing, alternate in one process, so that whatever else the
machine does falls on both. Prints JSON: medians of a step in milliseconds, and the median ratio of neighbouring blocks
with a 95 % bootstrap interval, in wall time and in this process's CPU time.

    python benchmarks/classifier_step.py [--repetitions 40] [--steps 5] [--width 16] [--device cpu]
"""

import argparse
import json
import time

import numpy as np
import torch

from mmgan import Mixed
from mmgan.classifiers import build_classifier
from mmgan.config.classifier import ClassifierMixSettings, ClassifierTrainingSettings
from mmgan.config.fields import Names
from mmgan.data import make_batches, make_images
from mmgan.draws import global_stream, numpy_stream
from mmgan.training.alone import Alone
from mmgan.training.supervised import ClassifierState, make_optimizer, train_classifier

LAYERS = {"mixed": "1,2,pixel", "plain": "none"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=40, help="pairs of blocks")
    parser.add_argument("--steps", type=int, default=5, help="steps of a block")
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--width", type=int, default=16, help="of the PreActResNet-18")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    blocks = {name: Block(layers, arguments) for name, layers in LAYERS.items()}
    for block in blocks.values():
        block.run(0)
    wall, cpu = measure(blocks, arguments.repetitions, arguments.steps)
    what = vars(arguments) | {"network": "PreActResNet-18", "images": "32x32 RGB", "torch": torch.__version__}
    print(json.dumps(what | {"wall": summary(wall), "cpu": summary(cpu)}, indent=2))


class Block:
    """`--steps` steps of the trainer's loop on noise."""

    def __init__(self, layers: str, arguments: argparse.Namespace) -> None:
        count = arguments.batch_size * arguments.steps
        rng = numpy_stream(0, "benchmark")
        pixels = torch.from_numpy(rng.integers(0, 256, (count, 3, 32, 32), np.uint8))
        images = make_images("noise", "train", pixels, torch.arange(count) % 10, tuple("0123456789"))
        with global_stream(0, "init"):
            network = build_classifier("preactresnet", 10, 3, 32, width=arguments.width)
        network.to(arguments.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mix = ClassifierMixSettings(mix=Names(layers))
        self.settings = ClassifierTrainingSettings(epochs=1, batch_size=arguments.batch_size, lr=1e-3)
        self.batches = make_batches(images, arguments.batch_size, seed=0, device=arguments.device)
        mixed = Mixed(network, self.mix.mix.items)
        self.state = ClassifierState(mixed, None, make_optimizer(mixed, self.settings))
        self.device = arguments.device

    def run(self, seed: int) -> None:
        self.state.step = 0
        train_classifier(
            self.state,
            self.batches,
            self.mix,
            self.settings,
            classes=10,
            seed=seed,
            accelerator=Alone(self.device),
            log_every=1000,
            on_metrics=lambda rows: None,
            tasks=[],
        )  # its last line reads the losses, and so waits for the device


def measure(blocks: dict[str, Block], repetitions: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Seconds a step, (repetitions, 2) in the order of LAYERS: wall and CPU."""
    seconds = np.empty((2, repetitions, len(blocks)))
    for i in range(repetitions):
        order = list(enumerate(blocks.values()))
        for j, block in order if i % 2 else order[::-1]:
            wall, cpu = time.perf_counter(), time.process_time()
            block.run(seed=i)
            seconds[0, i, j] = (time.perf_counter() - wall) / steps
            seconds[1, i, j] = (time.process_time() - cpu) / steps
    return seconds[0], seconds[1]


def summary(seconds: np.ndarray) -> dict[str, float | list[float]]:
    """Medians, and the median ratio of neighbours with its interval."""
    ratio = seconds[:, 0] / seconds[:, 1]
    rng = numpy_stream(0, "bootstrap")
    medians = np.median(ratio[rng.integers(len(ratio), size=(10_000, len(ratio)))], axis=1)
    by_name = dict(zip(LAYERS, np.median(seconds, axis=0) * 1e3, strict=True))
    return {f"{name}_ms": round(float(value), 2) for name, value in by_name.items()} | {
        "ratio": round(float(np.median(ratio)), 4),
        "ratio_95": [round(float(value), 4) for value in np.quantile(medians, [0.025, 0.975])],
    }


if __name__ == "__main__":
    main()
