"""The argument parser of the small commands."""

import argparse
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from mmgan.config.absent import instead_of
from mmgan.errors import UserError

if TYPE_CHECKING:
    from mmgan.gan.own import OwnNetwork


class Parser(argparse.ArgumentParser):
    """Tells a bad line as the rest of mmgan does: one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        usage = f"{self.prog} --help shows the usage"
        unknown = re.search(r"unrecognized arguments:.*?(--[\w-]+)", message)
        if unknown:
            flags = [flag for action in self._actions for flag in action.option_strings]
            raise UserError(f"unknown flag {unknown[1]}: {instead_of(unknown[1], flags, usage)}")
        raise UserError(f"{message}; {usage}")


class Shown(list[Any]):
    """A flag's default values, which its help shows as they are typed."""

    def __init__(self, words: str, kind: Callable[[str], Any] = str) -> None:
        super().__init__(map(kind, words.split()))

    def __str__(self) -> str:
        return " ".join(map(str, self))


def add_own_network(parser: Parser, role: str) -> None:
    """The flag that names the generator or the discriminator of a run which was trained with the user's own."""
    parser.add_argument(
        f"--{role}",
        metavar="FILE.py:NAME",
        help=f"the run's own {role}, where it has one: named again, since no code is run that a run names",
    )


def own_network(arguments: argparse.Namespace, role: str) -> "OwnNetwork | None":
    """The network that the flag names; finding it runs the user's own code.

    Raises:
        UserError: if there is none.
    """
    place = getattr(arguments, role)
    if place is None:
        return None
    from mmgan.gan.own import OwnNetwork
    from mmgan.networks.own import find_factory

    return OwnNetwork(place, find_factory(place))
