"""YAML files of settings."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from mmgan.errors import UserError

LARGEST = 200_000
"""Bytes of a file that is read."""

DEEPEST = 20
"""Levels of lists and mappings within one another."""


def read_yaml(path: Path) -> dict[Any, Any]:
    """Read the mapping in a YAML file, without executing anything in it, in bounded time and memory.

    Raises:
        UserError: if it is not YAML, is larger or nested deeper than a file of settings, holds more than plain values,
            repeats a key, or holds no mapping.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise UserError(f"{path} is not a file of settings: it has more than {LARGEST:,} bytes")
    try:
        values = yaml.load(content.decode("utf-8"), _Loader)
    except (yaml.YAMLError, ValueError, AttributeError, LookupError, TypeError) as error:  # of PyYAML's constructors
        raise UserError(f"{path} is not a YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: it must hold 'name: value' lines")
    return values


class _Loader(yaml.SafeLoader):
    """Plain values only. A file of a few bytes can stand for a value without end by aliases, so these are refused."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"'*{event.anchor}' in line {_line(event)} is an alias: write the value itself")
        if self.depth == DEEPEST:
            raise yaml.YAMLError(f"line {_line(event)} is nested more than {DEEPEST} levels deep")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Of a repeated key the last value would win, and the first would be lost."""
        found: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in found:
                raise yaml.YAMLError(f"'{key}' appears twice, again in line {_line(key_node)}")
            found.add(key)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        value = super().construct_yaml_int(node)
        if abs(value) >= 2**63:
            raise yaml.YAMLError(f"the number in line {_line(node)} has more than 64 bits")
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def _line(part: Any) -> int:
    """The line of an event or a node."""
    line: int = part.start_mark.line + 1
    return line
