"""The code of a user's network: which files it is made of, and what must not change while a run is resumed."""

import ast
import functools
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from types import ModuleType
from typing import Any

from mmgan.digests import file_digest
from mmgan.errors import UserError

SHORT = 12
"""Hexadecimal digits of a digest that are kept: enough to tell versions of a file apart."""


def code_facts(factory: Callable[..., Any], place: str = "") -> dict[str, str]:
    """What the code of a network is: each file's name with its digest, or the distribution with its version.

    The files are those that the place and the factory stand in, and all that these import from their own folder or from
    the working folder, however deep. Of a class in a notebook or in the program itself it is the source of that class
    alone.

    Args:
        factory: a class or function, or a network itself.
        place: FILE.py:NAME or package.module:NAME, if the factory was found there.

    Raises:
        UserError: if there is no source to take a digest of.
    """
    where = place.rpartition(":")[0]
    found: dict[str, str] = {}
    if where.endswith(".py"):
        path = Path(where).resolve()
        found = short_digests({path.stem: path} | imported_files(path))
    elif where:
        found = _module_facts(sys.modules[where])
    while isinstance(factory, functools.partial):
        factory = factory.func
    if not (inspect.isclass(factory) or inspect.isroutine(factory)):
        factory = type(factory)
    module = inspect.getmodule(factory)
    file = getattr(module, "__file__", None)
    if module is not None and file is not None and module.__name__ != "__main__":
        inside = where.endswith(".py") and Path(file).resolve() == Path(where).resolve()
        return found if inside else found | _module_facts(module)
    try:
        source = inspect.getsource(factory)
    except (OSError, TypeError):
        raise UserError(
            f"the source of {factory.__name__} cannot be read, so a resumed run could not tell a change: put it into a"
            " file"
        ) from None
    return found | {factory.__name__: hashlib.sha256(source.encode()).hexdigest()[:SHORT]}


def _module_facts(module: ModuleType) -> dict[str, str]:
    path = Path(str(module.__file__)).resolve()
    if found := _distribution(path, module.__name__.partition(".")[0]):
        return found
    name = module.__name__ if "." in module.__name__ or path.name == "__init__.py" else path.stem
    return short_digests({name: path} | imported_files(path, name))


def short_digests(files: Mapping[str, Path]) -> dict[str, str]:
    """The digest of each file, by its dotted name with .py."""
    return {f"{name}.py": file_digest(path)[:SHORT] for name, path in files.items()}


def imported_files(file: Path, name: str = "") -> dict[str, Path]:
    """The files that a file imports from its own folder or the working folder, directly and through one another.

    Read from the source, so that imports inside functions count too. mmgan itself and installed packages do not.

    Args:
        file: a Python file.
        name: its dotted name, if it is part of a package; the folder that holds the package is then its own.

    Returns:
        Dotted name -> file, without the file itself.
    """
    above = name.count(".") + (bool(name) and file.name == "__init__.py")
    home = file.resolve().parents[above]
    roots = list(dict.fromkeys([home, Path.cwd()]))
    found: dict[str, Path] = {}
    waiting = [(name or file.stem, file.resolve())]
    seen = {file.resolve()}
    while waiting:
        current, path = waiting.pop()
        package = current if path.name == "__init__.py" else current.rpartition(".")[0]
        for wanted in _imports(path, package):
            there = None if wanted.partition(".")[0] == "mmgan" else _find(wanted, roots)
            if there is not None and there not in seen:
                seen.add(there)
                found[wanted] = there
                waiting.append((wanted, there))
    return dict(sorted(found.items()))


def refuse_shadowed(place: Path, imported: Mapping[str, Path]) -> None:
    """Refuse a file whose import Python would serve with another module of that name, which is already there.

    Raises:
        UserError: naming both files.
    """
    for name, path in imported.items():
        other = getattr(sys.modules.get(name), "__file__", None)
        if name in sys.modules and (other is None or Path(other).resolve() != path):
            raise UserError(
                f"{place} imports {name}, its own {path.name}, but Python has loaded another {name}"
                f" ({other or 'built in'}) and would take that: rename {path}"
            )


def is_file(path: Path) -> bool:
    """Whether the path names a file; a name that no file can have does not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _imports(path: Path, package: str) -> Iterator[str]:
    """Every dotted name that may be a module among what a file imports."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # running it tells the fault
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _prefixes(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            yield from _prefixes(base)
            for alias in node.names:
                yield f"{base}.{alias.name}"


def _prefixes(name: str) -> Iterator[str]:
    """a.b.c -> a, a.b, a.b.c"""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        if parts[0]:
            yield ".".join(parts[:end])


def _find(name: str, roots: list[Path]) -> Path | None:
    for root in roots:
        place = root.joinpath(*name.split("."))
        for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if is_file(path):
                return path.resolve()
    return None


def _distribution(path: Path, package: str) -> dict[str, str] | None:
    """The installed distribution that a file belongs to, by its list of files; an editable one does not list it."""
    for name in packages_distributions().get(package, ()):
        installed = distribution(name)
        for entry in installed.files or ():
            if entry.name == path.name and Path(str(installed.locate_file(entry))).resolve() == path:
                return {installed.metadata["Name"]: installed.version}
    return None
