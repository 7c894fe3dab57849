"""The exceptions that users see as one line, and the hint at the end of a line about an unknown name."""

import difflib
from collections.abc import Iterable, Sequence
from signal import Signals


class UserError(ValueError):
    """A request that cannot be fulfilled.

    The message is one line: what is wrong, and what would be right. The command line prints it without a traceback
    and exits with code 2. It is a ValueError, so that library users may catch it as one.
    """


class TrainingFailed(RuntimeError):
    """A run that cannot go on: its numbers are no longer finite. One line; the command line exits with code 1."""


class StorageFailed(RuntimeError):
    """A file of the run could not be written: the disk is full, the folder is gone. One line that names the file; the
    command line exits with code 1; files written earlier are kept.
    """


class Stopped(Exception):
    """A signal asked the run to stop, and it stopped after a complete step. The command line exits with its code.

    Attributes:
        signal: the signal that stopped the run.
    """

    def __init__(self, signal: Signals) -> None:
        super().__init__(f"stopped by {signal.name}")
        self.signal = signal


def nearest(name: str, known: Iterable[str], count: int = 1) -> list[str]:
    """Up to `count` of the known names that look most like `name`, the most similar first; none if none does."""
    return difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)


def did_you_mean(name: str, known: Sequence[str], otherwise: str | None = None) -> str:
    """The hint after "there is no ...: " for a name that is not known.

    Args:
        name: the unknown name.
        known: all names that would be right.
        otherwise: the hint where nothing looks like `name`; None lists all known names.
    """
    near = nearest(name, known)
    return f"did you mean {near[0]}?" if near else otherwise or f"choose from {', '.join(known)}"
