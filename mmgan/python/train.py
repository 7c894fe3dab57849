"""`mmgan.train_gan(...)`: the GAN trainer for Python programs and notebooks."""

import functools
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from mmgan.config.gan import GanConfig
from mmgan.config.parse import parse_config
from mmgan.config.presets import GIVEN, preset_of
from mmgan.data import given_images
from mmgan.errors import UserError, did_you_mean
from mmgan.gan.classes import saved_classes
from mmgan.gan.own import OwnNetwork, OwnNetworks
from mmgan.gan.run import Callback, run_gan
from mmgan.gan.samples import run_source
from mmgan.networks.own import find_factory
from mmgan.networks.pick import Pick
from mmgan.process.stopping import StopRequests
from mmgan.runs.checkpoints import find_checkpoint
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import read_facts

Network = str | nn.Module | Callable[..., Any]
"""FILE.py:NAME or package.module:NAME, a network, or a class or function that makes one."""


@dataclass(frozen=True)
class TrainedGan:
    """A run that `train_gan` has finished.

    Attributes:
        folder: the run folder.
        generator: z (n, latent_dim), and y (n,) of a conditional run -> images in [-1, 1]; in evaluation mode, on the
            run's device; the average of the weights where the run keeps one.
        latent_dim: dimensions of z ~ N(0, I).
        seed: the run's.
    """

    folder: Path
    generator: nn.Module
    latent_dim: int
    seed: int

    @property
    def scores(self) -> dict[str, Any]:
        """The content of scores.json: "last", "best" and "history"; empty if the run was not scored."""
        return RunFolder(self.folder).read_scores()

    def sample(self, n: int, seed: int = 0) -> UInt8[Tensor, "n c h w"]:
        """Images 0 to n - 1 of the endless sequence that the seed names, uint8, on the CPU.

        Those of a conditional run have the training images' shares of the classes.
        """
        device = next(self.generator.parameters()).device
        facts = read_facts(find_checkpoint(RunFolder(self.folder).checkpoints, "last"))
        generate = run_source(self.generator, self.latent_dim, seed, device, saved_classes(facts))
        return torch.cat([generate(first, min(64, n - first)).cpu() for first in range(0, n, 64)])


def train_gan(
    *,
    generator: Network | None = None,
    discriminator: Network | None = None,
    data: Any = None,
    callbacks: Sequence[Callback] = (),
    pick: str | Callable[[Any], Any] | None = None,
    config: str | Path | None = None,
    **settings: Any,
) -> TrainedGan:
    """Train a GAN whose discriminator is regularised by Manifold Mixup, as `mmgan train-gan` does.

        run = mmgan.train_gan(data=dataset, mix="1,2,pixel", steps=2000, image_size=32)
        run.sample(16), run.scores, run.folder

    The settings are the flags of `mmgan train-gan --help` as keyword arguments. Under `accelerate launch` each process
    calls it. It handles no signals: Ctrl-C raises KeyboardInterrupt, and the run resumes from its last checkpoint with
    resume=True.

    Args:
        generator, discriminator: networks of your own, see docs/own-networks.md; None: those of `arch`. A class or
            function is called with those of image_size, channels and latent_dim that it names and with
            `generator_args` or `discriminator_args`. A module is trained as it is.
        data: the name of a data set, or images: a map-style data set or any iterable of images or (image, label). An
            image is a PIL image, a uint8 array (h, w) or (h, w, c), or a tensor (h, w) or (c, h, w), uint8 or floating
            point in [0, 1] or [-1, 1]. All items are read once, into memory. None: scikit-learn's digits.
        callbacks: each is called every `log_every` steps as callback(step, metrics, generator), on the main process;
            the generator is a copy in evaluation mode.
        pick: takes the logits from what your discriminator returns: a function, or an index, key or attribute.
        config: a file of settings, which the others override. None: the preset that fits the data.
        settings: by the names of the flags: mix="1,2,pixel", steps=1000, out="runs/mine", resume=True.

    Returns:
        The run, on all processes.

    Raises:
        UserError: for what cannot work, before any training and with nothing written.
        TrainingFailed: if a loss or gradient is not finite.
        StorageFailed: if a file of the run cannot be written.
    """
    named = dict(settings) | {"generator": place_of(generator), "discriminator": place_of(discriminator)}
    by_name = data is None or isinstance(data, str)
    named["data"] = data if by_name else GIVEN
    named["pick"] = pick if pick is None or isinstance(pick, str) else "0"
    argv = _words({name: value for name, value in named.items() if value is not None or name in settings}, config)
    preset = GanConfig.DEFAULT if data is None else preset_of(named["data"])
    parsed, source = parse_config(GanConfig, argv, prog="mmgan.train_gan", description="", default_config=preset)
    if parsed.run.dry_run:
        raise UserError("dry_run is for the command line: a call returns a run")
    if not by_name and parsed.score.real_split == "test":
        raise UserError(f"real_split={parsed.score.real_split!r} needs a data set by name: data was handed over")
    parsed.own.refuse_settings_of_ours(argv)
    own = OwnNetworks(
        _own(generator, parsed.own.generator_args),
        _own(discriminator, parsed.own.discriminator_args),
        Pick(pick) if isinstance(pick, str) else pick,
    )
    size, channels = parsed.data.image_size, parsed.data.channels
    images = None if by_name else given_images(data, image_size=size, channels=channels)
    stop = StopRequests(parsed.run.stop_deadline)  # not entered: it handles no signals
    done = run_gan(parsed, source, stop, own=own, given=images, callbacks=callbacks)
    assert done is not None
    folder, trained = done
    return TrainedGan(folder, trained, parsed.networks.latent_dim, parsed.run.seed)


def own_network(network: Network | None, arguments: Mapping[str, Any] | None = None) -> OwnNetwork | None:
    """A network that a caller hands over; None if there is none. A place is found, which runs its code."""
    place = place_of(network)
    if network is None or place is None:
        return None
    made_by = find_factory(network) if isinstance(network, str) else network
    if not callable(made_by):
        raise UserError(f"{network!r} is no network: give FILE.py:NAME, a torch.nn.Module, or what makes one")
    if arguments and isinstance(network, nn.Module):
        raise UserError(f"{place} is a network already, so it takes no arguments: give its class")
    return OwnNetwork(place, made_by, dict(arguments or {}))


def _own(network: Network | None, arguments: Any) -> OwnNetwork | None:
    return own_network(network, None if arguments is None else arguments.values)


def place_of(network: Network | None) -> str | None:
    """module:NAME of what a caller hands over, for messages and config.yaml."""
    if network is None or isinstance(network, str):
        return network
    made_by = network
    while isinstance(made_by, functools.partial):
        made_by = made_by.func
    kind = made_by if inspect.isclass(made_by) or inspect.isroutine(made_by) else type(made_by)
    return f"{kind.__module__}:{kind.__qualname__}"


def _words(settings: Mapping[str, Any], config: str | Path | None) -> list[str]:
    """The settings as the words of a command line.

    Raises:
        UserError: for a name that is no setting.
    """
    groups = get_type_hints(GanConfig).values()
    known = [f.name for group in groups for f in fields(group)]
    words = [] if config is None else [f"--config={config}"]
    for name, value in settings.items():
        if name not in known:
            hint = did_you_mean(name, known, "see mmgan train-gan --help")
            raise UserError(f"train_gan has no setting '{name}': {hint}")
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, Mapping):
            words.append(f"{flag}={_json(name, value)}")
        elif isinstance(value, (list, tuple)):
            words.append(f"{flag}={','.join(map(str, value))}")
        else:
            words.append(f"{flag}={'null' if value is None else value}")
    return words


def _json(name: str, value: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(value))
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{name} is not plain data ({error}), and a run keeps its settings: bind it with functools.partial instead"
        ) from None
