"""The parts of a classifier run, built from its settings."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from mmgan.analysis.adversarial import pgd
from mmgan.config.classifier import AdversarialSettings, ClassifierConfig, ClassifierDataSettings
from mmgan.config.parse import flat
from mmgan.config.shared import DataSettings
from mmgan.data import Images, draw_images, split_validation
from mmgan.draws import global_stream
from mmgan.errors import UserError
from mmgan.mixing.policies import PermutationPolicy
from mmgan.process.accelerator import memory_format
from mmgan.process.stopping import StopRequests
from mmgan.runs.data import image_shape, load_split, mixed_network, shared_batches
from mmgan.runs.estimate import Pass, check_training, sizes_of
from mmgan.runs.folder import default_folder
from mmgan.runs.session import Session
from mmgan.supervised.adamix import HIDDEN, AdaMix, IntrusionDiscriminator, PolicyRegionGenerator, WithFeatures
from mmgan.supervised.loop import Attack, ClassifierParts, make_optimizer, make_policy
from mmgan.supervised.networks import build_network
from mmgan.training.average import make_average


@dataclass(frozen=True)
class ClassifierData:
    """The images of a run.

    Attributes:
        training: the network is trained on them.
        validation: they choose the best epoch.
        test: they are used once, when training is over.
        digest: of the training and validation images together.
    """

    training: Images
    validation: Images
    test: Images
    digest: str


def build(config: ClassifierConfig, stop: StopRequests) -> tuple[Session, ClassifierParts, ClassifierData]:
    """Build all parts of a run. Building them is the check of the settings; nothing is written.

    Returns:
        The run's folder and processes, the parts of the training, and the images.

    Raises:
        UserError: for settings that do not go together, a folder that does not fit, or data that is absent.
    """
    policy = make_policy(config.mix)
    seed = config.run.seed
    folder = default_folder(config.data.data, config.network.arch, config.mix.mix, seed)
    session = Session(config.run, config.device, flat(config), folder, stop)
    accelerator = session.accelerator

    data = read_data(config.data, config.examples, seed, accelerator)
    images, shape = data.training, image_shape(data.training)

    def build_it() -> nn.Module:
        return build_network(
            config.network,
            classes=len(images.classes),
            channels=shape["channels"],
            image_size=shape["image_size"],
            seed=seed,
        )

    rows = config.training.batch_size // accelerator.num_processes
    check_training(
        lambda: [build_it()],
        [Pass(rows, (shape["channels"], shape["image_size"], shape["image_size"]))],
        [*sizes_of(config.network), *(config.network.units or ())],
        str(accelerator.device),
        "--batch-size, --width, --widen-factor, --widths or --image-size",
    )
    network = build_it()
    generator = make_generator(config, **shape) if config.mix.is_adamix else None
    parts = make_parts(network, config, images, policy, accelerator, generator)
    size = shape["image_size"]
    if config.examples.cutout > size or config.examples.crop_padding >= size:
        raise UserError(f"--cutout and --crop-padding must be smaller than the images, which have {size} pixels a side")
    return session, parts, data


def read_data(
    data: DataSettings, examples: ClassifierDataSettings, seed: int, accelerator: Accelerator
) -> ClassifierData:
    """Training, validation and test images.

    Raises:
        UserError: for data that is absent, or has no labels of two classes or more.
    """
    both = check_labelled(load_split(data, "train", accelerator))
    training, validation = split_validation(both, examples.validation, seed)
    if examples.train_images is not None:
        training = draw_images(training, examples.train_images, seed)
    test = check_labelled(load_split(data, "test", accelerator))
    if test.classes != training.classes:
        raise UserError(f"{training.name}: the classes of the test images are not those of the training images")
    return ClassifierData(training, validation, test, both.digest)


def check_labelled(images: Images) -> Images:
    """The images, if they have labels of two classes or more.

    Raises:
        UserError: for images without labels, or of one class.
    """
    if images.labels is None:
        raise UserError(f"{images.name} ({images.split}) has no labels: a classifier needs a folder for each class")
    present = torch.unique(images.labels).tolist()
    if len(present) < 2:
        raise UserError(
            f"{images.name} ({images.split}) has one class, '{images.classes[present[0]]}':"
            " a classifier needs two or more"
        )
    return images


def make_generator(config: ClassifierConfig, *, channels: int, image_size: int) -> PolicyRegionGenerator:
    """The policy region generator for the configured classifier, initialised by the run's seed."""
    seed = config.run.seed
    body = build_network(
        config.network,
        classes=HIDDEN,
        channels=channels,
        image_size=image_size,
        seed=seed,
        purpose="init of the policy",
    )
    with global_stream(seed, "init of the policy's last map"):
        return PolicyRegionGenerator(body)


def make_parts(
    network: Any,
    config: ClassifierConfig,
    images: Images,
    policy: PermutationPolicy,
    accelerator: Accelerator,
    generator: PolicyRegionGenerator | None = None,
) -> ClassifierParts:
    """Make any classifier of such images ready for training: mixing, average, optimizer, device.

    Args:
        network: images in [-1, 1] -> logits.
        config: the settings.
        images: of the training split.
        policy: draws the plans.
        accelerator: the run's.
        generator: chooses lam, for AdaMix; None: the policy draws it.

    Raises:
        UserError: if a layer to mix at does not exist, rows cannot be replaced there, or AdaMix cannot use the network.
    """
    mix, training = config.mix, config.training
    batches = shared_batches(
        images,
        training.batch_size,
        config.run.seed,
        accelerator,
        flip=config.data.flip,
        crop_padding=config.examples.crop_padding,
    )
    rows, classes = training.batch_size // accelerator.num_processes, len(images.classes)
    if generator is not None:
        if rows < 2:
            raise UserError(
                "--lam adamix mixes half of the images of a process: choose --batch-size 2 or more a process"
            )
        network, rows = WithFeatures(network), rows + rows // 2
    mixed = mixed_network(
        network, mix.mix.items, "replace", images, rows, config.device, accelerator, detach=mix.detach
    )
    average = make_average(mixed, training.ema)
    trained: nn.Module = mixed
    adamix = None
    if generator is not None:
        with global_stream(config.run.seed, "init of the intrusion discriminator"):
            discriminator = IntrusionDiscriminator(network.linear.in_features, classes)
        generator.to(memory_format=memory_format(config.device))
        trained = adamix = AdaMix(mixed, generator, discriminator).to(accelerator.device).train()
    if config.device.compile:
        for module in (mixed, generator):
            if module is not None:
                module.compile(fullgraph=True)
    prepared, optimizer = accelerator.prepare(trained, make_optimizer(trained, training))
    attack = make_attack(config.adversarial)
    return ClassifierParts(prepared, average, optimizer, batches, policy, classes, attack, adamix)


def make_attack(settings: AdversarialSettings) -> Attack | None:
    """The attack of adversarial training: PGD from a random start (Madry et al. 2018), or None."""
    if settings.adversarial == "none":
        return None
    return partial(pgd, epsilon=settings.pgd_epsilon, step_size=settings.pgd_step, steps=settings.pgd_steps)
