"""The pictures of `showing` for a run's page: left in its folder at the end of training, or made for a report."""

from dataclasses import replace

import torch
from torch import nn

from mmgan.config.gan import GanConfig
from mmgan.data import Images
from mmgan.errors import UserError
from mmgan.gan.build import training_images
from mmgan.gan.classes import Classes, saved_classes
from mmgan.gan.networks import load_generator
from mmgan.gan.showing import shown_pictures
from mmgan.report.shown import Shown, read_shown
from mmgan.runs.checkpoints import numbered_checkpoints, step_name
from mmgan.runs.data import read_split
from mmgan.runs.folder import RunFolder
from mmgan.runs.trained import read_run_config
from mmgan.scoring import NonFiniteSamples
from mmgan.storage import write_atomically


def save_shown(
    folder: RunFolder,
    generator: nn.Module,
    images: Images,
    dim: int,
    seed: int,
    step: int,
    device: torch.device,
    classes: Classes | None,
) -> None:
    """Leave the pictures of the last step in the run folder; none where the generator yields non-finite pixels.

    Args:
        folder: the run's.
        step: of the generator.
        generator, images, device, classes: as for `shown_pictures`.
        dim: dimensions of the generator's latents.
        seed: the run's.

    Raises:
        StorageFailed: if one cannot be written.
    """
    try:
        found = shown_pictures(generator, images, dim, seed, device, classes)
    except NonFiniteSamples:
        return  # the scores say so
    for kind, picture in found.items():
        write_atomically(folder.samples / f"{step_name(step)}-{kind}.png", picture)


def shown_of(folder: RunFolder) -> Shown | None:
    """What a page shows of a GAN run whose newest checkpoint has no pictures, made from it and the training images.

    Nothing that the run names is executed: of a generator of the user's own nothing is made.

    Returns:
        The pictures, or why there are none; None where there is nothing to make: the run folder has those of the newest
        checkpoint, it has no checkpoint, or it is a classifier's.
    """
    if GanConfig.MARK not in folder.read_config():
        return None
    there, checkpoints = read_shown(folder), numbered_checkpoints(folder.checkpoints)
    if not checkpoints:
        return None
    if there.step is not None and there.step >= int(checkpoints[0].name.removeprefix("step-")):
        return None
    try:
        return _made_now(folder)
    except UserError as error:
        return replace(there, why=f"It cannot be made now: {error}")


def _made_now(folder: RunFolder) -> Shown:
    config = read_run_config(folder, GanConfig)
    if config.own.generator is not None:
        raise UserError(
            "the generator is code of your own, which a report does not run; the end of training makes this picture"
        )
    trained = load_generator(folder, "last")
    images, _ = training_images(config, read_split(replace(config.data, download=False), "train"))
    if images.digest != trained.facts.get("data_digest"):
        raise UserError("the training images are no longer those of the run")
    classes, dim = saved_classes(trained.facts), config.networks.latent_dim
    found = shown_pictures(trained.network, images, dim, config.run.seed, "cpu", classes)
    return Shown(trained.facts["step"], found)
