"""The argument parser of the small commands."""

import argparse
from typing import TYPE_CHECKING, NoReturn

from mmgan.errors import UserError

if TYPE_CHECKING:
    from mmgan.gan.own import OwnNetwork


class Parser(argparse.ArgumentParser):
    """Tells a bad line as the rest of mmgan does: one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; {self.prog} --help shows the usage")


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
