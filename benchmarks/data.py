"""Speed of the data pipeline, against torchvision's transforms in a DataLoader and as a share of a step."""

from collections.abc import Callable, Iterator

import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.rows import Row, row_of
from benchmarks.setup import Gan
from benchmarks.timing import alternate, median
from mmgan.config.classifier import ClassifierConfig
from mmgan.config.parse import parse_config
from mmgan.data import Batches, Images, load_images, make_batches, make_images
from mmgan.draws import numpy_stream
from mmgan.mixing import Mixed
from mmgan.process.alone import Alone
from mmgan.supervised.loop import ClassifierParts, make_optimizer, make_policy, train_classifier
from mmgan.supervised.networks import build_network
from mmgan.training.tasks import LoopContext

BATCH = 128
PADDING = 4


def measure(device: str, quick: bool) -> list[Row]:
    """Return the rows of this part."""
    return [_against_torchvision(device, quick), _share_of_a_step(device, quick)]


def colour_noise(count: int) -> Images:
    """Make random 32x32 RGB images."""
    pixels = numpy_stream(0, "benchmark").integers(0, 256, (count, 3, 32, 32), "uint8")
    return make_images("noise", "train", torch.from_numpy(pixels), torch.arange(count) % 10, tuple("0123456789"))


class PillowImages(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's CIFAR10 yields them, with the transforms of its reference scripts."""

    def __init__(self, images: Images) -> None:
        self.pixels = images.pixels.permute(0, 2, 3, 1).numpy()  # (n, h, w, c)
        self.labels = [] if images.labels is None else images.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=PADDING),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize([0.5] * 3, [0.5] * 3),
            ]
        )

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


def _against_torchvision(device: str, quick: bool) -> Row:
    count = 2 * BATCH if quick else 40 * BATCH
    images = colour_noise(count)
    ours = make_batches(images, BATCH, seed=0, device=device, flip=True, crop_padding=PADDING)
    loader = DataLoader(
        PillowImages(images),
        BATCH,
        shuffle=True,
        num_workers=2,
        persistent_workers=True,
        pin_memory=device == "cuda",
        generator=torch.Generator(),  # otherwise each epoch would draw from the global generator
    )

    def read_loader() -> None:
        for x, y in loader:
            x.to(device, non_blocking=True), y.to(device, non_blocking=True)

    def read_ours() -> None:
        for step in range(count // BATCH):
            ours.batch(step)

    timings = alternate({"torchvision": read_loader, "ours": read_ours}, 2 if quick else 5, device)
    return row_of(
        "images/s, 32x32 with flip and crop: ours over torchvision's transforms in a DataLoader of 2 workers",
        timings.ratio("torchvision", to="ours"),
        "x",
        at_least=20,
        detail={name: {"images_per_second": count / timings.seconds(name).value} for name in timings.wall}
        | {"batch": BATCH},
    )


def _share_of_a_step(device: str, quick: bool) -> Row:
    steps = 2 if quick else 20
    presets = {"gan/digits": _gan_digits(device, steps), "classifier/digits": _classifier_digits(device, steps)}
    images = colour_noise(2000)
    shares, seconds = {}, {}
    for name, (batch_size, train) in presets.items():
        pipeline = make_batches(images, batch_size, seed=0, device=device, flip=True, crop_padding=PADDING)
        read = _reader(pipeline, steps)
        timings = alternate({"step": train, "batch": read}, 2 if quick else 9, device)
        shares[name] = timings.ratio("batch", to="step")
        seconds[name] = {key: median(timings.wall[key] / steps).value for key in timings.wall}
    smallest = min(presets, key=lambda name: seconds[name]["step"])
    return row_of(
        f"a batch of 32x32 RGB with flip and crop, as a share of a step of the smallest preset, {smallest}",
        shares[smallest],
        "%",
        scale=100,
        at_most=5,
        detail={"seconds": seconds},
    )


def _reader(batches: Batches, steps: int) -> Callable[[], None]:
    counter: Iterator[int] = iter(range(10**9))

    def read() -> None:
        for _ in range(steps):
            batches.batch(next(counter))

    return read


def _gan_digits(device: str, steps: int) -> tuple[int, Callable[[], None]]:
    """Train configs/gan/digits.yaml on noise, with its networks, batch size and n_dis."""
    gan = Gan(device, 32, image_size=16, channels=1, d_width=32, g_width=32, latent_dim=32, n_dis=1)
    parts, accelerator = gan.parts(), Accelerator(cpu=device == "cpu")
    return gan.batch_size, lambda: gan.train(parts, accelerator, steps)


def _classifier_digits(device: str, steps: int) -> tuple[int, Callable[[], None]]:
    """Train configs/classifier/digits.yaml without mixing, one epoch of `steps` steps per call."""
    config, _ = parse_config(
        ClassifierConfig,
        ["--epochs", "1"],
        prog="benchmark",
        description="",
        default_config="configs/classifier/digits.yaml",
    )
    images, size = load_images("digits", ""), config.training.batch_size
    count = min(steps * size, len(images))
    labels = None if images.labels is None else images.labels[:count]
    few = make_images("digits", "train", images.pixels[:count], labels, images.classes)
    mixed = Mixed(build_network(config.network, classes=10, channels=1, image_size=16, seed=0), "none").to(device)
    optimizer = make_optimizer(mixed, config.training)
    batches = make_batches(few, size, seed=0, device=device)
    parts = ClassifierParts(mixed, None, optimizer, batches, make_policy(config.mix), classes=10)

    def train() -> None:
        parts.step = 0
        train_classifier(parts, config.training, LoopContext(Alone(device), log_every=10**9))

    return size, train
