"""What a user may write for the set S of eligible layers (Section 2), and which module of a network a name means."""

from collections.abc import Mapping, Sequence

from torch import nn

from mmgan.errors import UserError, nearest
from mmgan.mixing.plan import PIXEL


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


def stage_names(model: nn.Module) -> dict[str, str]:
    """The model's own names for layers: the entries of its `stages` mapping that name a submodule by its dotted name.

    `stages` may also be an ordinary submodule of somebody else's network; then there are none.
    """
    stages = getattr(model, "stages", None)
    return {str(k): v for k, v in stages.items() if isinstance(v, str)} if isinstance(stages, Mapping) else {}


def find_layer(model: nn.Module, name: str) -> str:
    """The dotted name of the submodule that `name` stands for, or "pixel", the network's input.

    A stage comes before a submodule of the same name, "pixel" before both.

    Raises:
        UserError: for a name that the model does not have; the nearest names are listed.
    """
    stages = stage_names(model)
    modules = [module for module, _ in model.named_modules() if module]
    target = PIXEL if name == PIXEL else stages.get(name, name)
    if target == PIXEL or target in modules:
        return target
    known = [PIXEL, *stages, *modules]
    near = nearest(name, known, 5) or known[:8]
    listed = ", ".join(f"'{n}'" for n in near)
    raise UserError(f"layer '{name}' is not in this network; the nearest names are {listed}")
