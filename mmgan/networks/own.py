"""Networks that users bring: a class or function in a file of theirs, or in a package."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from mmgan.errors import UserError, did_you_mean
from mmgan.faults import user_code
from mmgan.networks.code import imported_files, is_file, refuse_shadowed, short_digests

Factory = Callable[..., Any]
"""A class or function that returns a network."""

_loaded: dict[Path, tuple[dict[str, str], ModuleType]] = {}
"""File -> the digests of its code, and the module that was made of it."""


def find_factory(place: str) -> Factory:
    """The class or function at "FILE.py:NAME" or "package.module:NAME". Finding it runs the user's own code.

    Raises:
        UserError: if there is no such file, module or name, it cannot be called, or its code fails.
    """
    where, colon, name = place.rpartition(":")
    if not colon or not where or not name:
        raise UserError(f"'{place}' does not name a network: write FILE.py:NAME or package.module:NAME")
    module = _from_file(Path(where)) if where.endswith(".py") else _from_package(where)
    if not hasattr(module, name):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        hint = did_you_mean(name, known) if known else "it holds no class and no function"
        raise UserError(f"{where} holds no '{name}': {hint}")
    factory = getattr(module, name)
    if not callable(factory):
        raise UserError(f"{place} is a {type(factory).__name__}: name a class or a function that returns a network")
    found: Factory = factory
    return found


def call_factory(place: str, factory: Factory, offered: Mapping[str, Any], more: Mapping[str, Any]) -> nn.Module:
    """The network: the factory is called with those of the offered arguments that it names, and with all of `more`.

    Args:
        place: for messages.
        factory: a class or function.
        offered: what the caller knows of images, classes and latents.
        more: what the user passes; it comes before what is offered.

    Raises:
        UserError: if it asks for other arguments, does not know one of `more`, fails, or returns no network.
    """
    with user_code(place, "when asked for its arguments", factory):
        parameters = inspect.signature(factory).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if unknown := [name for name in more if name not in parameters and not takes_any]:
        known = [name for name, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        hint = did_you_mean(unknown[0], known) if known else "it takes none"
        raise UserError(f"{place} takes no argument '{unknown[0]}': {hint}")
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
    with user_code(place, "when it was called", factory):
        network = factory(**given)
    if not isinstance(network, nn.Module):
        raise UserError(f"{place} returned a {type(network).__name__}, not a torch.nn.Module")
    return network


def _from_file(path: Path) -> ModuleType:
    """The module of a file. Unchanged code runs once, so that two networks of one file share their classes."""
    if not is_file(path):
        raise UserError(f"the file {path} does not exist: write FILE.py:NAME")
    file = path.resolve()
    imported = imported_files(file)
    digests = short_digests({file.stem: file} | imported)
    before, module = _loaded.get(file, (None, None))
    if module is not None and before == digests:
        return module
    if before is not None:  # edited since, as happens in a notebook
        for name in imported:
            sys.modules.pop(name, None)
    refuse_shadowed(path, imported)
    taken = file.stem in sys.modules and sys.modules[file.stem] is not module
    name = f"_own_{file.stem}_{len(_loaded)}" if taken else file.stem
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # for its own imports of files in the same folder
    importlib.invalidate_caches()
    sys.modules[name] = module
    try:
        with user_code(str(path), "when it was imported", home=file.parent):
            spec.loader.exec_module(module)
    except UserError:
        del sys.modules[name]
        raise
    _loaded[file] = digests, module
    return module


def _from_package(name: str) -> ModuleType:
    try:
        with user_code(name, "when it was imported"):
            return importlib.import_module(name)
    except UserError as error:
        missing = getattr(error.__cause__, "name", None) if isinstance(error.__cause__, ModuleNotFoundError) else None
        if missing is not None and (name == missing or name.startswith(f"{missing}.")):
            raise UserError(
                f"there is no module {name}: install it, start from the folder that holds it, or write FILE.py:NAME for"
                " a file"
            ) from None
        raise
