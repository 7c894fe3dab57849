"""How a setting is declared and checked."""

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from mmgan.errors import UserError


def setting(default: Any, text: str) -> Any:
    """A dataclass field with its help text."""
    return field(default=default, metadata={"help": text})


class Names(str):
    """Names with commas between. In YAML a list or a single number does as well: `mix: 1`, `mix: [pixel, 1]`."""

    @classmethod
    def parse(cls, value: "str | int | Sequence[str | int]") -> "Names":
        items = [value] if isinstance(value, (str, int)) else list(value)
        return cls(",".join(part.strip() for item in items for part in str(item).split(",")) or "none")

    @property
    def items(self) -> tuple[str, ...]:
        return tuple(self.split(","))


def check_range(settings: Any, *, above: float | None = None, least: float | None = None, names: Sequence[str]) -> None:
    """Refuse a number that is not above, or not at least, the given bound; None passes.

    Raises:
        UserError: naming the flag, its value and the bound.
    """
    for name in names:
        value = getattr(settings, name)
        if value is None:
            continue
        flag = "--" + name.replace("_", "-")
        if above is not None and not value > above:
            raise UserError(f"{flag} {value} is out of range: it must be above {above:g}")
        if least is not None and not value >= least:
            raise UserError(f"{flag} {value} is out of range: it must be at least {least:g}")
