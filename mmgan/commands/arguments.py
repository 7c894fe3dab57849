"""The argument parser of the small commands."""

import argparse
from typing import NoReturn

from mmgan.errors import UserError


class Parser(argparse.ArgumentParser):
    """Tells a bad line as the rest of mmgan does: one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; {self.prog} --help shows the usage")
