"""Nests of tensors: what networks take and return. A nest is a tensor, or a tuple, list, mapping or dataclass of nests.

Anything else in a nest (None, numbers, strings, objects) stays as it is.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from torch import Tensor

Leaf = tuple[str, Tensor]
"""(path, tensor): "" for a bare tensor, "[1].logits" for a part."""


def leaves(nest: Any, path: str = "") -> Iterator[Leaf]:
    """The tensors of a nest with their paths, in order."""
    if isinstance(nest, Tensor):
        yield path, nest
    else:
        for part, value in _parts(nest):
            yield from leaves(value, path + part)


def map_nest(change: Callable[[str, Tensor], Any], nest: Any, path: str = "") -> Any:
    """The nest with `change(path, tensor)` in place of each tensor; containers keep their type."""
    if isinstance(nest, Tensor):
        return change(path, nest)
    changed = [map_nest(change, value, path + part) for part, value in _parts(nest)]
    if isinstance(nest, Mapping):
        pairs = zip(nest.keys(), changed, strict=True)
        return type(nest)(**dict(pairs)) if is_dataclass(nest) else type(nest)(pairs)  # type: ignore[call-arg]
    if isinstance(nest, tuple):
        return type(nest)(*changed) if hasattr(nest, "_fields") else type(nest)(changed)
    if isinstance(nest, list):
        return type(nest)(changed)
    if is_dataclass(nest) and not isinstance(nest, type):
        names = [field.name for field in fields(nest) if field.init]
        return replace(nest, **dict(zip(names, changed, strict=True)))
    return nest


def structure(nest: Any) -> tuple[Any, ...]:
    """What two calls have in common that differ only in numbers, and in the values and rows of their tensors."""
    if isinstance(nest, Tensor):
        return "tensor", nest.dim(), nest.is_floating_point()
    parts = tuple((part, *structure(value)) for part, value in _parts(nest))
    if nest is None or isinstance(nest, (bool, str)):
        return type(nest).__name__, repr(nest)
    return type(nest).__name__, *parts  # of numbers the kind alone: a step or a fading weight has many values


def _parts(nest: Any) -> list[tuple[str, Any]]:
    if isinstance(nest, Mapping):
        return [(f"[{key!r}]", value) for key, value in nest.items()]
    if isinstance(nest, tuple) and hasattr(nest, "_fields"):
        return [(f".{name}", value) for name, value in zip(nest._fields, nest, strict=True)]
    if isinstance(nest, (tuple, list)):
        return [(f"[{i}]", value) for i, value in enumerate(nest)]
    if is_dataclass(nest) and not isinstance(nest, type):
        return [(f".{field.name}", getattr(nest, field.name)) for field in fields(nest) if field.init]
    return []
