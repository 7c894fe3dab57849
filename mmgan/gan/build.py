"""The parts of a GAN run, built from its settings."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn

from mmgan.config.gan import GanConfig
from mmgan.config.parse import flat
from mmgan.data import Images, draw_balanced, hold_out
from mmgan.draws import torch_stream
from mmgan.errors import UserError
from mmgan.faults import user_code
from mmgan.gan.classes import Classes, find_classes, layers_to_mix, require_use
from mmgan.gan.compiled import compile_networks
from mmgan.gan.diagnoser import Diagnoser, some_images
from mmgan.gan.first_call import share_weights, try_discriminator, try_generator
from mmgan.gan.first_compile import try_compile
from mmgan.gan.loop import GanParts, make_optimizer, make_policy
from mmgan.gan.networks import build_networks
from mmgan.gan.own import OwnNetworks
from mmgan.gan.regularization import check_rule, count_heads, make_augment
from mmgan.gan.scores import GanScorer, find_weights
from mmgan.mixing.policies import RealFakePolicy
from mmgan.process.accelerator import memory_format, refuse_on_cpu
from mmgan.process.stopping import StopRequests
from mmgan.regularizers import make_regularizers
from mmgan.runs.data import example_rows, image_shape, load_split, mixed_network, shared_batches
from mmgan.runs.estimate import Pass, check_training, sizes_of
from mmgan.runs.folder import default_folder
from mmgan.runs.session import Session
from mmgan.training.average import frozen_copy, make_average


def build(
    config: GanConfig, stop: StopRequests, own: OwnNetworks, given: Images | None = None
) -> tuple[Session, GanParts, Images, GanScorer | None, Diagnoser | None]:
    """Build all parts of a run. Building them is the check of the settings; nothing is written.

    Args:
        config: the settings.
        stop: whether signals ask the run to stop.
        own: the networks that are the user's; they get the lines that their first call has for the user.
        given: the training images, where a Python program hands them over.

    Returns:
        The run's folder and processes, the parts of the training, the training images, the scorer of the generator
        (not yet prepared; None: there are no scores), and what diagnoses the discriminator (None: nothing does).

    Raises:
        UserError: for settings that do not go together, a folder that does not fit, data or weights that are absent.
    """
    make_policy(config.mix)  # checks its settings before the data is read
    data, score, seed = config.data, config.score, config.run.seed
    folder = default_folder(data.data, "", config.mix.mix, seed)
    session = Session(config.run, config.device, flat(config), folder, stop)
    accelerator = session.accelerator
    if config.device.cuda_graphs:
        refuse_on_cpu("--cuda-graphs", "leave it out")
    weights = find_weights(score, data) if score.score_every else None

    split = load_split(data, "train", accelerator) if given is None else same_images(given, accelerator)
    images, held_out = training_images(config, split)
    shape = image_shape(images)
    check_memory(config, shape, accelerator, own)
    classes = find_classes(images) if config.examples.conditional else None
    count = None if classes is None else len(classes)
    networks = build_networks(config.networks, **shape, classes=count, seed=seed, own=own)
    if count is not None:
        try_classes(own, *networks, count, images, config.networks.latent_dim)
    if own:
        try_own(own, *networks, config, images, accelerator, count)
    policy = make_policy(config.mix, layers_to_mix(config.mix, config.examples, networks[1]))
    parts = make_parts(*networks, config, images, policy, accelerator, own.pick, classes)
    scorer = None
    if score.score_every:
        real = real_images(config, split, held_out, accelerator)
        averaged = config.training.ema > 0
        scorer = GanScorer(
            score, real, weights, data.data_root, parts.latent_dim, seed, averaged, accelerator, stop, classes
        )
    diagnoser = (
        make_diagnoser(config, images, held_out, accelerator.device) if config.diagnosis.diagnose_every else None
    )
    if diagnoser is not None and own:
        g, d = (frozen_copy(network, accelerator) for network in networks)
        with user_code(own.places, "when the untrained networks were diagnosed, in evaluation mode"):
            diagnoser.entry(g, d, step=0, pick=own.pick)
    return session, parts, images, scorer, diagnoser


def training_images(config: GanConfig, split: Images) -> tuple[Images, Images | None]:
    """The images that a run trains on, and those that it sets aside; None: it sets none aside.

    Raises:
        UserError: if there are fewer than the settings ask for.
    """
    share, count, seed = config.diagnosis.holdout, config.examples.max_images, config.run.seed
    rest, held_out = hold_out(split, share, seed) if share else (split, None)
    return rest if count is None else draw_balanced(rest, count, seed), held_out


def make_diagnoser(config: GanConfig, train: Images, held_out: Images | None, device: torch.device) -> Diagnoser:
    """The diagnoser that a run's settings describe."""
    return Diagnoser(
        some_images(train, config.run.seed),
        None if held_out is None else some_images(held_out, config.run.seed),
        config.examples.conditional,
        config.mix.mix.items,
        config.networks.latent_dim,
        config.training.batch_size,
        config.run.seed,
        device,
    )


def real_images(config: GanConfig, split: Images, held_out: Images | None, accelerator: Accelerator) -> Images:
    """The images that a run is scored against.

    Args:
        config: the run's.
        split: the training split.
        held_out: as `training_images` returns it.
        accelerator: the run's.
    """
    if config.score.real_split == "held-out":
        assert held_out is not None  # GanConfig refuses it without --holdout
        return held_out
    return (
        split
        if config.score.real_split == split.split
        else load_split(config.data, config.score.real_split, accelerator)
    )


def same_images(images: Images, accelerator: Accelerator) -> Images:
    """Images that each process has read on its own.

    Raises:
        UserError: on all processes, if they are not the same everywhere.
    """
    if len(set(gather_object([images.digest]))) > 1:
        raise UserError(f"{images.name}: the processes read different images: its order or content must not be random")
    return images


def try_own(
    own: OwnNetworks,
    generator: nn.Module,
    discriminator: nn.Module,
    config: GanConfig,
    images: Images,
    accelerator: Accelerator,
    classes: int | None = None,
) -> None:
    """Call the user's own networks once, with classes where there are any, and give all processes the same weights.

    Raises:
        UserError: for a network that cannot work.
    """
    shape = tuple(images.pixels.shape[1:])
    b = max(1, config.training.batch_size // (accelerator.num_processes * config.training.accumulate))
    if own.generator is not None:
        share_weights(generator, accelerator)
        own.notes += try_generator(own.generator, generator, config.networks.latent_dim, shape, b, accelerator, classes)
    if own.discriminator is not None:
        share_weights(discriminator, accelerator)
        separate = config.own.passes == "separate"
        own.notes += try_discriminator(
            own.discriminator, discriminator, own.pick, separate, shape, 2 * b, accelerator, classes
        )
    if config.device.compile:
        rows = {"generator": (b, config.networks.latent_dim), "discriminator": (2 * b, *shape)}
        for role, network in (("generator", generator), ("discriminator", discriminator)):
            if (theirs := own.by_role.get(role)) is not None:
                y = () if classes is None else (torch.zeros(rows[role][0], dtype=torch.int64),)
                try_compile(theirs, network, (torch.zeros(rows[role]), *y), accelerator)


def try_classes(
    own: OwnNetworks, generator: nn.Module, discriminator: nn.Module, classes: int, images: Images, latent_dim: int
) -> None:
    """Call both networks with classes.

    Raises:
        UserError: for a network that does not take them, or whose output does not depend on them.
    """
    stream = torch_stream(0, "first call with classes")
    x = torch.rand(8, *images.pixels.shape[1:], generator=stream) * 2 - 1  # (8, c, h, w)
    z = torch.randn(8, latent_dim, generator=stream)  # (8, latent_dim)
    for role, network, rows in (("discriminator", discriminator, x), ("generator", generator, z)):
        theirs = own.by_role.get(role)
        call = "when it was called with classes"
        with nullcontext() if theirs is None else user_code(theirs.place, call, theirs.made_by):
            require_use(network, role, rows, classes)


def check_memory(config: GanConfig, shape: Mapping[str, int], accelerator: Accelerator, own: OwnNetworks) -> None:
    """Refuse networks and batches that no memory holds.

    Raises:
        UserError: naming what to lower.
    """
    training = config.training
    rows = training.batch_size // (accelerator.num_processes * training.accumulate)
    latents = Pass(rows * training.g_batch_factor, (config.networks.latent_dim,))
    images = Pass(2 * rows, (shape["channels"], shape["image_size"], shape["image_size"]))
    check_training(
        # Classes add too little to count.
        None if own else lambda: build_networks(config.networks, **shape, seed=0, own=own),
        [latents, images],
        sizes_of(config.networks),
        str(accelerator.device),
        "--batch-size, --d-width, --g-width, --latent-dim or --image-size",
    )


def make_parts(
    generator: nn.Module,
    discriminator: nn.Module,
    config: GanConfig,
    images: Images,
    policy: RealFakePolicy,
    accelerator: Accelerator,
    pick: Callable[[Any], Any] | None = None,
    classes: Classes | None = None,
) -> GanParts:
    """Make any generator and discriminator of such images ready for training: mixing, average, optimizers, device.

    `pick` takes the logits from what the discriminator returns. With `classes` both networks are also called with the
    classes of their rows.

    Raises:
        UserError: if a layer to mix at does not exist, or rows cannot be appended there.
    """
    training, device, latent_dim = config.training, config.device, config.networks.latent_dim
    slices = accelerator.num_processes * training.accumulate
    if training.batch_size % slices:
        raise UserError(
            f"the batch size {training.batch_size} is that of all processes and slices together: it must be a multiple"
            f" of {accelerator.num_processes} processes times --accumulate {training.accumulate}"
        )
    augment = make_augment(config.regularizers)
    batches = shared_batches(
        images,
        training.batch_size,
        config.run.seed,
        accelerator,
        flip=config.data.flip,
        dequantize=training.dequantize,
    )
    rows = 2 * (training.batch_size // slices)  # real and fake
    conditional, passes = classes is not None, config.own.passes
    mixed = mixed_network(
        discriminator,
        policy.layers,
        "append",
        images,
        rows,
        device,
        accelerator,
        pick=pick,
        passes=passes,
        labels=conditional,
    )
    example = example_rows(images, rows, accelerator.device, labels=conditional)
    check_rule(mixed, policy, *example)
    outputs = count_heads(mixed, *example) if config.regularizers.lecam else 1
    regularizers = make_regularizers(config.regularizers, flip=config.data.flip, outputs=outputs).to(accelerator.device)
    generator = generator.to(accelerator.device, memory_format=memory_format(device))  # type: ignore[call-overload]
    average = make_average(generator, training.ema)
    if device.compile:
        compile_networks(generator, mixed, cuda_graphs=device.cuda_graphs)
    opt_g, opt_d = make_optimizer(generator, training), make_optimizer(mixed, training)
    g, d, opt_g, opt_d = accelerator.prepare(generator, mixed, opt_g, opt_d)
    return GanParts(
        g,
        d,
        average,
        opt_g,
        opt_d,
        batches,
        policy,
        latent_dim,
        regularizers=regularizers,
        augment=augment,
        classes=classes,
        mix_within=config.examples.mix_classes != "embed",
        cuda_graphs=device.cuda_graphs,
    )
