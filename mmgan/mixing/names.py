"""What a user may write for the set S of eligible layers (Section 2)."""

from collections.abc import Sequence

from mmgan.errors import UserError


def parse_layers(layers: "str | int | Sequence[str | int]") -> tuple[str, ...]:
    """The layer names in "1,2,pixel", ["pixel", 1], 1 or "none"; an empty tuple is the baseline.

    Raises:
        UserError: for an empty name, a name given twice, or "none" beside other names.
    """
    items = layers.split(",") if isinstance(layers, str) else [layers] if isinstance(layers, int) else list(layers)
    names = tuple(str(item).strip() for item in items)
    if names in ((), ("none",), ("",)):
        return ()
    shown = ",".join(names)
    if "" in names:
        raise UserError(f"the layers '{shown}' hold an empty name: write names with commas between, as in 1,2,pixel")
    if "none" in names:
        raise UserError(f"the layers '{shown}' name 'none' beside others: 'none' stands alone and means no mixing")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"the layers '{shown}' name '{name}' twice: name each layer once, all are equally likely")
    return names
