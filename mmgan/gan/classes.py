"""The classes of a conditional run: which there are, which class a sample has, and whether the networks take them."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn
from torch.func import functional_call

from mmgan.config.gan import GanDataSettings, GanMixSettings
from mmgan.data import Images
from mmgan.draws import numpy_stream, torch_stream
from mmgan.errors import UserError, did_you_mean
from mmgan.modes import evaluation_mode
from mmgan.nests import leaves

JITTER = 0.1
"""Deviation of what all-zero parameters become in `require_use`: at its zero initialisation a table hides its use."""


@dataclass(frozen=True)
class Classes:
    """The classes of the training images.

    Attributes:
        names: of the classes.
        counts: images of each.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    def facts(self) -> dict[str, Any]:
        """What a checkpoint keeps of them."""
        return {"class_names": list(self.names), "class_counts": list(self.counts)}

    def index_of(self, name: str) -> int:
        """The class of this name, else of this number from 0.

        Raises:
            UserError: if there is no such class.
        """
        if name in self.names:
            return self.names.index(name)
        if name.isdecimal() and int(name) < len(self):
            return int(name)
        raise UserError(f"there is no class '{name}': {did_you_mean(name, self.names)}")


@dataclass(frozen=True)
class SampleClasses:
    """classes(first, count): the classes of samples first .. first + count - 1, a fixed sequence.

    The training images' own classes in an order that the seed decides, again and again. So any number of samples has
    the training set's share of each class, to a fraction of an image.
    """

    counts: tuple[int, ...]
    seed: int

    def __call__(self, first: int, count: int) -> Int64[Tensor, " count"]:
        return torch.from_numpy(self._order[np.arange(first, first + count) % len(self._order)])

    @cached_property
    def _order(self) -> np.ndarray:
        labels = np.repeat(np.arange(len(self.counts)), self.counts)
        return numpy_stream(self.seed, "classes of samples").permutation(labels)


def find_classes(images: Images) -> Classes:
    """The classes of the training images of a conditional run.

    Raises:
        UserError: if there are fewer than two, or a class has no image.
    """
    if images.labels is None or len(images.classes) < 2:
        what = "has no classes" if images.labels is None else f"has one class, {images.classes[0]}"
        raise UserError(
            f"--conditional needs two classes or more, and {images.name} {what}: choose a data set with labels, or a"
            " folder with a subfolder for each class"
        )
    counts = images.labels.bincount(minlength=len(images.classes)).tolist()
    if 0 in counts:
        raise UserError(
            f"--conditional needs an image of each of the {len(counts)} classes of {images.name}, and there is none of"
            f" {images.classes[counts.index(0)]}: choose a larger --max-images"
        )
    return Classes(images.classes, tuple(counts))


def saved_classes(facts: Mapping[str, Any]) -> Classes | None:
    """The classes of the run that saved these facts; None: it was unconditional."""
    names, counts = facts.get("class_names"), facts.get("class_counts")
    return None if names is None or counts is None else Classes(tuple(names), tuple(counts))


def layers_to_mix(mix: GanMixSettings, examples: GanDataSettings, discriminator: nn.Module) -> tuple[str, ...]:
    """The layers of --mix; with --mix-classes embed each is a cut together with the module that embeds the classes.

    Raises:
        UserError: if the discriminator has no module "embed", and a layer names no other.
    """
    layers = mix.mix.items
    if examples.mix_classes != "embed" or layers == ("none",):
        return layers
    if not all("+" in name for name in layers) and "embed" not in dict(discriminator.named_modules()):
        raise UserError(
            "--mix-classes embed mixes the classes' embeddings at the layer, and this discriminator has no module"
            f" 'embed': name yours with each layer, as in --mix {layers[0]}+embedding"
        )
    return tuple(name if "+" in name else f"{name}+embed" for name in layers)


def require_use(network: nn.Module, what: str, x: Tensor, classes: int) -> None:
    """Refuse a network that does not take the classes of its rows, or whose output does not depend on them.

    Args:
        network: called as network(x, y) in evaluation mode; it is left as it is.
        what: "discriminator" or "generator".
        x: images or latents, at least two rows.
        classes: number of classes.

    Raises:
        UserError: naming what is missing.
    """
    signature = inspect.signature(network.forward)
    try:
        signature.bind(x, x)
    except TypeError:
        raise UserError(
            f"--conditional calls the {what} with the classes of its rows, and its forward{signature} takes none"
        ) from None
    y = torch.arange(len(x), device=x.device) % classes  # (n,)
    state = {name: _jittered(p) for name, p in network.named_parameters()}
    state |= {name: buffer.detach().clone() for name, buffer in network.named_buffers()}
    try:
        with torch.no_grad(), evaluation_mode(network):
            outputs = [functional_call(network, state, (x, labels)) for labels in (y, y.flip(0), classes - 1 - y)]
    except IndexError as error:
        raise UserError(
            f"the {what} does not take class numbers up to {classes - 1}, and there are {classes} classes ({error})"
        ) from None
    first, *others = [[leaf for _, leaf in leaves(output)] for output in outputs]
    if all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True)):
        raise UserError(f"--conditional needs a {what} that uses the classes, and this one ignores y")


def _jittered(parameter: Tensor) -> Tensor:
    value = parameter.detach().clone()
    if value.is_floating_point() and not value.any():
        value.normal_(0, JITTER, generator=torch_stream(0, "jitter", device=value.device))
    return value
