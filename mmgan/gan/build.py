"""The parts of a GAN run, built from its settings: each group of settings goes only to what needs it."""

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from mmgan.config.gan import GanConfig, GanMixSettings, GanTrainingSettings
from mmgan.config.shared import DeviceSettings
from mmgan.data import Batches, Images, check_dataset_name, make_batches
from mmgan.gan.loop import GanParts, make_optimizer, make_policy
from mmgan.gan.networks import build_networks
from mmgan.gan.scores import GanScorer, find_weights, real_images
from mmgan.mixing import Mixed
from mmgan.mixing.policies import RealFakePolicy
from mmgan.process.accelerator import memory_format
from mmgan.process.stopping import StopRequests
from mmgan.runs.data import image_shape, load_split
from mmgan.runs.folder import default_folder
from mmgan.runs.session import Session
from mmgan.training.average import make_average


def build(config: GanConfig, stop: StopRequests) -> tuple[Session, GanParts, Images, GanScorer | None]:
    """Build all parts of a run. Building them is the check of the settings; nothing is written.

    Returns:
        The run's folder and processes, what is trained, the training images, and what scores the generator (not yet
        prepared; None: there are no scores).

    Raises:
        UserError: for settings that do not go together, a folder that does not fit, data or weights that are absent.
    """
    policy = make_policy(config.mix)
    data, score, training, seed = config.data, config.score, config.training, config.run.seed
    session = Session(config.run, config.device, default_folder(data.data, "", config.mix.mix, seed), stop)
    accelerator = session.accelerator
    check_dataset_name(data.data)
    weights = find_weights(score, data) if score.score_every else None

    images = load_split(data, "train", accelerator)
    batches = make_batches(
        images,
        training.batch_size,
        seed=seed,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        device=accelerator.device,
        flip=data.flip,
        dequantize=training.dequantize,
    )
    shape = image_shape(images)
    networks = build_networks(config.networks, **shape, seed=seed)
    b, size = training.batch_size // accelerator.num_processes, shape["image_size"]
    example = torch.zeros(2 * b, shape["channels"], size, size, device=accelerator.device)
    parts = make_parts(
        *networks,
        batches,
        policy,
        config.networks.latent_dim,
        config.mix,
        training,
        config.device,
        accelerator,
        example,
    )
    scorer = None
    if score.score_every:
        real = real_images(score, data, images, accelerator)
        averaged = training.ema > 0
        scorer = GanScorer(score, real, weights, data.data_root, parts.latent_dim, seed, averaged, accelerator, stop)
    return session, parts, images, scorer


def make_parts(
    generator: nn.Module,
    discriminator: nn.Module,
    batches: Batches,
    policy: RealFakePolicy,
    latent_dim: int,
    mix: GanMixSettings,
    training: GanTrainingSettings,
    device: DeviceSettings,
    accelerator: Accelerator,
    example: Tensor,
) -> GanParts:
    """Make any generator and discriminator ready for training: mixing, average, optimizers, device.

    Args:
        example: images as a discriminator's step has them, real ones on fake ones; their values do not matter.

    Raises:
        UserError: if a layer to mix at does not exist, or rows cannot be appended there.
    """
    layout = memory_format(device)
    mixed = Mixed(discriminator, mix.mix.items).to(accelerator.device, memory_format=layout)  # type: ignore[call-overload]
    for verdict in mixed.train().check(example.to(memory_format=layout)).values():  # before compile and DDP hide it
        verdict.require("append")
    generator = generator.to(accelerator.device, memory_format=layout)  # type: ignore[call-overload]
    average = make_average(generator, training.ema)
    if device.compile:
        generator.compile(fullgraph=True)
        mixed.compile(fullgraph=True)
    opt_g, opt_d = make_optimizer(generator, training), make_optimizer(mixed, training)
    g, d, opt_g, opt_d = accelerator.prepare(generator, mixed, opt_g, opt_d)
    return GanParts(g, d, average, opt_g, opt_d, batches, policy, latent_dim)
