"""Whether plain values have the types of a program's settings, without building a parser."""

from collections.abc import Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mmgan.config.fields import Levels, Names


def type_fault(cls: type[Any], values: Mapping[Any, Any]) -> str | None:
    """The first value that does not have its setting's type, in words; or None. Other names may have any value.

    Args:
        cls: a configuration, such as `GanConfig`.
        values: by the name of the setting.
    """
    hints: dict[str, Any] = {}
    for group in get_type_hints(cls).values():
        own = get_type_hints(group)
        hints |= {f.name: own[f.name] for f in fields(group)}
    for name, value in values.items():
        if not isinstance(name, str):
            return f"{name} is no name of a setting"
        if name in hints and not _has_type(value, hints[name]):
            return f"{name} cannot be {' '.join(str(value).split())[:60]}"
    return None


def _has_type(value: Any, hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return any(_has_type(value, part) for part in get_args(hint))
    if get_origin(hint) is Literal:
        return isinstance(value, str)  # another version may have other choices
    if hint is Names:
        items = value if isinstance(value, list) else [value]
        return all(isinstance(item, str | int) and not isinstance(item, bool) for item in items)
    if hint in (float, Levels):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint in (int, str, bool):
        return type(value) is hint
    return value is None if hint is type(None) else True
