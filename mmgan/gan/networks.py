"""The networks of a GAN, built from its settings or loaded from a run's checkpoint."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from torch import nn

from mmgan.config.gan import GanConfig, GanNetworkSettings
from mmgan.config.parse import flat
from mmgan.discriminators import build_discriminator
from mmgan.draws import global_stream
from mmgan.errors import UserError
from mmgan.gan.classes import saved_classes
from mmgan.gan.own import OwnNetwork, OwnNetworks
from mmgan.generators import build_generator
from mmgan.networks.pick import Pick
from mmgan.runs.facts import code_changes
from mmgan.runs.folder import RunFolder
from mmgan.runs.trained import TrainedNetwork, load_trained, read_run_config


def build_networks(
    settings: GanNetworkSettings,
    *,
    channels: int,
    image_size: int,
    seed: int,
    classes: int | None = None,
    own: OwnNetworks | None = None,
) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator for images (channels, image_size, image_size), initialised by the seed.

    With a number of classes both are conditional.

    Raises:
        UserError: if there are no such networks for these images, or a network of the user's own cannot be made.
    """
    s, own = settings, own or OwnNetworks()
    offered = offered_to(channels=channels, image_size=image_size, latent_dim=s.latent_dim, classes=classes)
    with global_stream(seed, "init"):
        generator = (
            own.generator.build(offered)
            if own.generator
            else build_generator(s.arch, image_size, channels, s.g_width, s.latent_dim, s.g_shortcuts, classes)
        )
        discriminator = (
            own.discriminator.build(offered)
            if own.discriminator
            else build_discriminator(
                s.arch, image_size, channels, s.d_width, s.pool, s.spectral, s.d_shortcuts, classes
            )
        )
    return generator, discriminator


def offered_to(*, channels: int, image_size: int, latent_dim: int, classes: int | None) -> dict[str, int]:
    """The arguments that a user's own networks may name; a number of classes in a conditional run alone."""
    offered = {"image_size": image_size, "channels": channels, "latent_dim": latent_dim}
    return offered if classes is None else offered | {"classes": classes}


def load_generator(
    folder: RunFolder, which: str, own: OwnNetwork | None = None, *, allow_changed: bool = False
) -> TrainedNetwork:
    """Load the generator of a GAN run: latents (n, latent_dim), z ~ N(0, I) -> images in [-1, 1].

    Nothing that the run names is executed: a generator of the user's own is named again. The generator of a conditional
    run is called with (latents, classes); `saved_classes(facts)` names the classes.

    Args:
        folder: the run's.
        which: "last", "best", or a checkpoint's name such as "step-00001000".
        own: the generator that the run was trained with; None: mmgan's.
        allow_changed: accept a config.yaml that differs from the settings of the checkpoint.

    Raises:
        UserError: if there is no such checkpoint, it is damaged, the run has another generator, or the checkpoint was
            made with other settings.
    """
    ema = read_run_config(folder, GanConfig).training.ema
    return _load(folder, which, "generator", own, ema, allow_changed=allow_changed)


def load_both(
    folder: RunFolder, which: str, own: OwnNetworks | None = None
) -> tuple[TrainedNetwork, TrainedNetwork, Callable[[Any], Any] | None]:
    """Load the generator itself, not its average, and the discriminator, as they played against each other.

    Args:
        folder: the run's.
        which: as for `load_generator`.
        own: the networks of the user's own that the run was trained with.

    Returns:
        The two, and what takes the logits from what the discriminator returns; None: they are what it returns.

    Raises:
        UserError: as `load_generator`.
    """
    own = own or OwnNetworks()
    generator = _load(folder, which, "generator", own.generator, 0.0)
    discriminator = _load(folder, which, "discriminator", own.discriminator, 0.0)
    pick = read_run_config(folder, GanConfig).own.pick
    return generator, discriminator, None if pick is None else Pick(pick)


def _load(
    folder: RunFolder,
    which: str,
    role: Literal["generator", "discriminator"],
    own: OwnNetwork | None,
    ema: float,
    *,
    allow_changed: bool = False,
) -> TrainedNetwork:
    config = read_run_config(folder, GanConfig)
    named = getattr(config.own, role)
    if named is not None and own is None:
        raise UserError(
            f"{folder.path} has a {role} of your own, {named}, and mmgan runs no code that a run names: name it"
            f" again, as in --{role} {named} (in Python {role}=...)"
        )
    if named is None and own is not None:
        raise UserError(f"{folder.path} has mmgan's own {role}: leave {own.place} out")
    arguments = getattr(config.own, f"{role}_args")
    if own is not None and arguments is not None and not own.arguments:
        own = replace(own, arguments=arguments.values)

    def build(facts: Mapping[str, Any]) -> nn.Module:
        shape = {name: facts[name] for name in ("channels", "image_size")}
        classes = saved_classes(facts)
        count = None if classes is None else len(classes)
        if own is not None:
            return own.build(offered_to(**shape, latent_dim=config.networks.latent_dim, classes=count))
        return build_networks(config.networks, **shape, seed=0, classes=count)[role == "discriminator"]

    trained = load_trained(
        folder,
        which,
        role,
        build,
        settings=flat(config),
        device=config.device,
        ema=ema,
        allow_changed=allow_changed,
    )
    code = {} if own is None else own.code(role)
    return replace(trained, notes=code_changes(trained.facts, code))
