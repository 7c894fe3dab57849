"""Networks that users bring: a class or function in a file of theirs, or in a package."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from mmgan.errors import UserError, did_you_mean


def find_factory(place: str) -> Callable[..., Any]:
    """The class or function at "FILE.py:NAME" or "package.module:NAME". Finding it runs the user's own code.

    Raises:
        UserError: if there is no such file, module or name, or it cannot be called.
    """
    where, colon, name = place.rpartition(":")
    if not colon or not where or not name:
        raise UserError(f"'{place}' does not name a network: write FILE.py:NAME or package.module:NAME")
    module = _from_file(Path(where)) if where.endswith(".py") else _from_package(where)
    if not hasattr(module, name):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise UserError(f"{where} holds no '{name}': {did_you_mean(name, known)}")
    factory = getattr(module, name)
    if not callable(factory):
        raise UserError(f"{place} is a {type(factory).__name__}: name a class or a function that returns a network")
    found: Callable[..., Any] = factory
    return found


def call_factory(
    place: str, factory: Callable[..., Any], offered: Mapping[str, Any], more: Mapping[str, Any]
) -> nn.Module:
    """The network: the factory is called with those of the offered arguments that it names, and with all of `more`.

    Args:
        place: for messages.
        factory: a class or function.
        offered: what the caller knows of images, classes and latents.
        more: what the user passes; it comes before what is offered.

    Raises:
        UserError: if it asks for other arguments, does not know one of `more`, or returns no network.
    """
    parameters = inspect.signature(factory).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if unknown := [name for name in more if name not in parameters and not takes_any]:
        raise UserError(f"{place} takes no argument '{unknown[0]}': {did_you_mean(unknown[0], list(parameters))}")
    given = {name: value for name, value in offered.items() if name in parameters} | dict(more)
    missing = [
        name
        for name, p in parameters.items()
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and name not in given
    ]
    if missing:
        raise UserError(
            f"{place} needs '{missing[0]}', which is not among {', '.join(offered)}: pass it as a JSON argument, or"
            " give it a default"
        )
    network = factory(**given)
    if not isinstance(network, nn.Module):
        raise UserError(f"{place} returned a {type(network).__name__}, not a torch.nn.Module")
    return network


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"the file {path} does not exist: write FILE.py:NAME")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # for its own imports of files in the same folder
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _from_package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise UserError(f"there is no module {name}: install it, or write FILE.py:NAME for a file") from None
        raise
