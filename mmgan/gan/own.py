"""The networks of a GAN run that its user brings, by flag or in Python."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from mmgan.config.fields import JsonObject
from mmgan.config.gan import OURS, OwnNetworkSettings
from mmgan.networks.code import code_facts
from mmgan.networks.own import Factory, call_factory, find_factory
from mmgan.networks.pick import Pick


@dataclass(frozen=True)
class OwnNetwork:
    """One network that the user brings.

    Attributes:
        place: FILE.py:NAME or package.module:NAME, or the name of what a Python program passes; for messages.
        made_by: the class or function that makes it, or the network itself.
        arguments: that the user passes to it.
    """

    place: str
    made_by: Factory | nn.Module
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def build(self, offered: Mapping[str, Any]) -> nn.Module:
        """The network, made with those of the offered arguments that it names.

        Raises:
            UserError: as `call_factory`.
        """
        if isinstance(self.made_by, nn.Module):
            return self.made_by
        return call_factory(self.place, self.made_by, offered, self.arguments)

    def code(self, role: str) -> dict[str, str]:
        """What decides what the network computes: its name, and its files' digests or its distribution's version."""
        where, _, name = self.place.rpartition(":")
        files = code_facts(self.made_by, self.place if where else "")
        return {f"the {role}": name} | {f"the {role}'s {file}": digest for file, digest in files.items()}


@dataclass
class OwnNetworks:
    """Which of the two networks the user brings; None: mmgan's own.

    Attributes:
        generator, discriminator: the networks.
        pick: takes the logits from what the discriminator returns.
        notes: lines that the run prints at its start.
    """

    generator: OwnNetwork | None = None
    discriminator: OwnNetwork | None = None
    pick: Callable[[Any], Any] | None = None
    notes: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.generator is not None or self.discriminator is not None

    @property
    def by_role(self) -> dict[str, OwnNetwork]:
        both = {"generator": self.generator, "discriminator": self.discriminator}
        return {role: network for role, network in both.items() if network is not None}

    @property
    def places(self) -> str:
        """Where they come from, for messages."""
        return " and ".join(network.place for network in self.by_role.values())

    def code(self) -> dict[str, str]:
        """The facts about code that a resumed run must not change."""
        return {name: value for role, network in self.by_role.items() for name, value in network.code(role).items()}

    def lines(self) -> list[str]:
        """Which networks are the user's, and which settings mean nothing to them."""
        lines = []
        for role, network in self.by_role.items():
            unused = [*OURS[role], *(OURS["both"] if len(self.by_role) == 2 else ())]
            lines.append(f"{role}: your own, {network.place}; {', '.join(unused)} have no meaning for it")
        return [*lines, *self.notes]


def find_own(settings: OwnNetworkSettings) -> OwnNetworks:
    """Find the networks that the settings name. It runs the user's own code.

    Raises:
        UserError: as `find_factory`.
    """

    def find(place: str | None, arguments: JsonObject | None) -> OwnNetwork | None:
        if place is None:
            return None
        return OwnNetwork(place, find_factory(place), {} if arguments is None else arguments.values)

    generator = find(settings.generator, settings.generator_args)
    discriminator = find(settings.discriminator, settings.discriminator_args)
    return OwnNetworks(generator, discriminator, None if settings.pick is None else Pick(settings.pick))
