"""The exceptions that users see as one line, and the hint at the end of a line about an unknown name."""

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from signal import Signals


class UserError(ValueError):
    """A request that cannot be fulfilled.

    The message is one line: what is wrong, and what would be right. The command line prints it without a traceback
    and exits with code 2. It is a ValueError, so that library users may catch it as one.
    """


class TrainingFailed(RuntimeError):
    """A run that cannot go on: its numbers are no longer finite, or networks of the user's own raised an exception. One
    line; the command line exits with code 1."""


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


def printable(text: str) -> str:
    r"""The text in one line that a terminal shows as it is: other characters as `\n`, `\x1b` or `\u202e`.

    A file's name may hold line breaks, codes that a terminal obeys, and bytes that are not UTF-8.
    """
    hidden = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    return "".join(c.encode("unicode_escape").decode() if c in hidden else c for c in text)


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
