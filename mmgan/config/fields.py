"""How a setting is declared and checked."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from fractions import Fraction
from typing import Any

from mmgan.errors import UserError


def setting(default: Any, text: str, **bounds: float) -> Any:
    """A dataclass field with its help text, and the bounds of `check_range` that its group holds it to."""
    return field(default=default, metadata={"help": text, "bounds": bounds})


class Names(str):
    """Names with commas between. In YAML a list or a single number does as well: `mix: 1`, `mix: [pixel, 1]`."""

    @classmethod
    def parse(cls, value: "str | int | Sequence[str | int]") -> "Names":
        items = [value] if isinstance(value, (str, int)) else list(value)
        return cls(",".join(part.strip() for item in items for part in str(item).split(",")) or "none")

    @property
    def items(self) -> tuple[str, ...]:
        return tuple(self.split(","))


class Levels(float):
    """A share of the range of pixels: `--epsilon 8/255`, which a help text shows as it is typed. 0.03 does as well."""

    def __new__(cls, value: str | float) -> "Levels":
        try:
            return super().__new__(cls, Fraction(value) if isinstance(value, str) and "/" in value else value)
        except (ValueError, ZeroDivisionError):
            raise ValueError(f"Given value: {value}") from None  # as jsonargparse ends its messages

    def __str__(self) -> str:
        levels = round(self * 255)
        return f"{levels}/255" if levels / 255 == self else float.__repr__(self)

    __repr__ = __str__


class JsonObject(str):
    """A JSON object: `--generator-args '{"width": 64}'`. In YAML a mapping does as well."""

    @classmethod
    def parse(cls, value: "str | Mapping[str, Any]") -> "JsonObject":
        values = json.loads(value) if isinstance(value, str) else value
        if not isinstance(values, Mapping):
            raise ValueError("not a JSON object")
        return cls(json.dumps(dict(values)))

    @property
    def values(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self)
        return parsed


def check_range(
    settings: Any, *names: str, above: float | None = None, least: float | None = None, below: float | None = None
) -> None:
    """Refuse a number that is not above, not at least, or not below the given bound; None passes.

    Args:
        settings: has the numbers as attributes.
        names: of the attributes.
        above, least, below: the bounds; None: there is none.

    Raises:
        UserError: naming the flag, its value and the bound.
    """
    for name in names:
        value = getattr(settings, name)
        if value is None:
            continue
        outside = f"--{name.replace('_', '-')} {value} is out of range: it must be"
        if above is not None and not value > above:
            raise UserError(f"{outside} above {above:g}")
        if least is not None and not value >= least:
            raise UserError(f"{outside} at least {least:g}")
        if below is not None and not value < below:
            raise UserError(f"{outside} below {below:g}")


class SettingsGroup:
    """The base of a group of settings: a frozen dataclass whose fields `setting` declares.

    Raises:
        UserError: for a number outside the bounds of its declaration.
    """

    def __post_init__(self) -> None:
        for f in fields(self):  # type: ignore[arg-type]
            check_range(self, f.name, **f.metadata["bounds"])
