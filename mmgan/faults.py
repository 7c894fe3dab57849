"""Exceptions in the user's own code, told in one line that says what failed and where."""

import inspect
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmgan.errors import UserError

LIBRARIES = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")})
OURS = Path(__file__).resolve().parent


@contextmanager
def user_code(
    place: str, when: str, factory: Callable[..., Any] | None = None, home: Path | None = None
) -> Iterator[None]:
    """Turn an exception of the block, SystemExit among them, into a UserError of one line.

    Args:
        place: where the user's code stands, FILE.py:NAME.
        when: "when it was called", say.
        factory: of the network; it is named where no line of the user's code is in the traceback.
        home: the folder of the user's code, if that is known.

    Raises:
        UserError: with the exception as its cause.
    """
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"{place} failed {when}: {said(error, factory, home)}") from error


def said(error: BaseException, factory: Callable[..., Any] | None = None, home: Path | None = None) -> str:
    """An exception in words, with the last line of the user's code that it passed; arguments as for `user_code`."""
    words = " ".join(str(error).split())
    what = f"{type(error).__name__}: {words}" if words else type(error).__name__
    where = _line_of(error, home) or (None if factory is None else _definition(factory))
    return f"{what} ({where})" if where else what


def _line_of(error: BaseException, home: Path | None) -> str | None:
    """The last line of the user's code that the exception passed."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = [(Path(frame.filename), frame) for frame in traceback.extract_tb(error.__traceback__)]
    inside = [frame for path, frame in frames if home is not None and path.is_relative_to(home)]
    own = [frame for path, frame in frames if not _of_libraries(path)]
    others = [frame for path, frame in frames if not path.is_relative_to(OURS) and "torch" not in path.parts]
    for found in (inside, own, others):
        if found:
            return f"{found[-1].filename}, line {found[-1].lineno}, in {found[-1].name}"
    return None


def _of_libraries(path: Path) -> bool:
    return path.is_relative_to(OURS) or str(path).startswith("<frozen") or any(map(path.is_relative_to, LIBRARIES))


def _definition(factory: Callable[..., Any]) -> str | None:
    try:
        return f"{inspect.getsourcefile(factory)}, line {inspect.getsourcelines(factory)[1]}"
    except (OSError, TypeError):
        return None
