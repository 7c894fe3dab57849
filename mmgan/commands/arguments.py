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


def add_generator(parser: Parser) -> None:
    """The flag that names the generator of a run which was trained with one of the user's own."""
    parser.add_argument(
        "--generator",
        metavar="FILE.py:NAME",
        help="the run's own generator, where it has one: named again, since no code is run that a run names",
    )


def own_generator(arguments: argparse.Namespace) -> "OwnNetwork | None":
    """The generator that the flag names; finding it runs the user's own code.

    Raises:
        UserError: if there is none.
    """
    if arguments.generator is None:
        return None
    from mmgan.gan.own import OwnNetwork
    from mmgan.networks.own import find_factory

    return OwnNetwork(arguments.generator, find_factory(arguments.generator))
