"""The classifiers that judge generated images: trained with Manifold Mixup on first need, then cached.

A judge is this project's own network, trained by its own loop with the paper's mixing (layers 1, 2 and pixel, alpha 2).
Scores on its features are comparable only between runs with the same judge. Its name and the digest of its weights are
saved with every score.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from accelerate import Accelerator
from torch import nn
from tqdm.auto import tqdm

from mmgan.classifiers import build_classifier
from mmgan.config.classifier import ClassifierMixSettings, ClassifierTrainingSettings
from mmgan.config.fields import Names
from mmgan.data import Images, load_images, make_batches
from mmgan.draws import global_stream
from mmgan.errors import UserError
from mmgan.mixing import Mixed
from mmgan.process.accelerator import main_process_first
from mmgan.process.alone import Alone
from mmgan.runs.loading import load_network
from mmgan.scoring import NetworkExtractor, state_digest
from mmgan.storage import cache_folder, cached_file
from mmgan.supervised.held_out import held_out_result
from mmgan.supervised.loop import ClassifierParts, make_optimizer, make_policy, train_classifier
from mmgan.training.tasks import LoopContext

EPOCHS = {"digits": 15, "mnist": 2, "fashion-mnist": 8}
JUDGED = tuple(EPOCHS)
"""The data sets that have a judge."""

TAP = "pool"
"""The judge's features: its pooled activations before the linear map."""

VERSION = 1
"""Raise it when judges are trained differently; then cached ones are not used."""

SEED = 0
THREADS = 1
"""Fixed while a judge is trained, since the order of sums, and with it the weights, depends on it."""

MIX = ClassifierMixSettings(mix=Names("1,2,pixel"), alpha=2.0)


def judge_extractor(images: Images, data_root: str | Path, accelerator: Accelerator) -> NetworkExtractor:
    """The judge of a data set as an extractor for scores, on the run's device. All processes call it; one trains.

    Args:
        images: any split of the data, in the size and channels that are scored.
        data_root: where the training and test images are found.
        accelerator: the run's.

    Raises:
        UserError: for a data set without a judge.
    """
    _, channels, _, size = images.pixels.shape
    with main_process_first(accelerator):
        network, facts = judge_network(images.name, data_root, image_size=size, channels=channels)
    name = f"classifier:{facts['data']}"
    return NetworkExtractor(network, name, TAP, size, channels, accelerator.device)


def judge_network(
    data: str, data_root: str | Path, *, image_size: int | None = None, channels: int | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """The judge of a data set, from the cache or trained now, on the CPU: `TAP` names its features.

    The same data, versions and machine give the same weights, bit for bit.

    Args:
        data: one of `JUDGED`.
        data_root: where its training and test images are found.
        image_size: height and width in pixels; None: the data's own.
        channels: 1 or 3; None: the data's own.

    Returns:
        The network in evaluation mode, images in [-1, 1] -> logits, and its facts: data, data_digest, image_size,
        channels, weights_digest, test_error_percent, test_nll, test_examples.

    Raises:
        UserError: for a data set without a judge, absent data, or a cache that cannot be written.
    """
    if data not in JUDGED:
        raise UserError(f"there is no judge for {data}, only for {', '.join(JUDGED)}: use --extractor inception")
    images = load_images(data, data_root, split="train", image_size=image_size, channels=channels)
    settings = ClassifierTrainingSettings(
        epochs=EPOCHS[data], batch_size=128, lr=0.1, nesterov=True, weight_decay=5e-4, lr_decay="cosine"
    )
    path = cache_folder() / "judges" / f"{data}-{_key(images, settings)}.safetensors"
    if (kept := _load(path, images)) is not None:
        return kept
    network = _train(images, settings)
    _, channels, _, size = images.pixels.shape
    test = load_images(data, data_root, split="test", image_size=size, channels=channels)
    result = held_out_result(network, test, Alone("cpu"))
    facts = {
        "data": data,
        "data_digest": images.digest,
        "image_size": size,
        "channels": channels,
        "weights_digest": state_digest(network),
        "test_error_percent": result.error_percent,
        "test_nll": result.nll,
        "test_examples": result.examples,
    }
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    with cached_file(path) as part:
        part.write_bytes(safetensors.torch.save(tensors, metadata={"facts": json.dumps(facts)}))
    return network, facts


def _build(images: Images) -> nn.Module:
    _, channels, _, size = images.pixels.shape
    stride = 2 if size >= 24 else 1
    with global_stream(SEED, "init"):
        network = build_classifier(
            "wideresnet", len(images.classes), channels, size, depth=10, widen_factor=1, stem_stride=stride
        )
    return network.to(memory_format=torch.channels_last).eval()


def _key(images: Images, settings: ClassifierTrainingSettings) -> str:
    what = [VERSION, SEED, THREADS, torch.__version__, images.digest, asdict(MIX), asdict(settings)]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


def _train(images: Images, settings: ClassifierTrainingSettings) -> nn.Module:
    """Train a judge on the CPU, with a fixed number of threads: with and without a GPU, the cache gets the same one."""
    network = _build(images)
    mixed = Mixed(network, MIX.mix.items)
    batches = make_batches(images, settings.batch_size, seed=SEED)
    optimizer = make_optimizer(mixed, settings)
    parts = ClassifierParts(mixed, None, optimizer, batches, make_policy(MIX), len(images.classes))
    total = settings.epochs * batches.steps_per_epoch
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        with tqdm(total=total, desc=f"training the {images.name} classifier that scores use", unit="step") as bar:
            context = LoopContext(Alone("cpu"), SEED, on_metrics=lambda rows: bar.update(len(rows)))
            train_classifier(parts, settings, context)
    finally:
        torch.set_num_threads(threads)
    return network.eval()


def _load(path: Path, images: Images) -> tuple[nn.Module, dict[str, Any]] | None:
    """The cached judge; None if the file is absent or damaged."""
    network = _build(images)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["facts"])
        load_network(path.parent, path.stem, network)
    except (FileNotFoundError, safetensors.SafetensorError, KeyError, TypeError, ValueError):  # a UserError is one
        return None
    return (network, facts) if state_digest(network) == facts["weights_digest"] else None
