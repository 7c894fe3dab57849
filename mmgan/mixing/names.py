"""What a user may write for the set S of eligible layers (Section 2), and which module of a network a name means."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import nn

from mmgan.errors import UserError, nearest
from mmgan.mixing.plan import PIXEL

Layers = str | int | Sequence[str | int] | Mapping[str, str | Sequence[str]]
"""The set S: names with commas between, a sequence of names, or name -> the modules of a cut."""


class Cut(NamedTuple):
    """A layer to mix at.

    Attributes:
        name: what messages call it.
        modules: dotted names of submodules, or "pixel" for the input; together they decide what follows.
    """

    name: str
    modules: tuple[str, ...]


def parse_layers(layers: Layers) -> tuple[str, ...]:
    """The layer names in "1,2,pixel", ["pixel", 1], 1, {"mid": ["down", "skip"]} or "none"; () is the baseline.

    Raises:
        UserError: for an empty name, a name given twice, or "none" together with other names.
    """
    items = layers.split(",") if isinstance(layers, str) else [layers] if isinstance(layers, int) else list(layers)
    names = tuple(str(item).strip() for item in items)
    if names in ((), ("none",), ("",)):
        return ()
    shown = ",".join(names)
    if "" in names:
        raise UserError(f"the layers '{shown}' hold an empty name: write names with commas between, as in 1,2,pixel")
    if "none" in names:
        raise UserError(f"the layers '{shown}' name 'none' and others: 'none' stands alone and means no mixing")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"the layers '{shown}' name '{name}' twice: name each layer once, all are equally likely")
    return names


def find_cuts(model: nn.Module, layers: Layers) -> dict[str, Cut]:
    """The cut for each name in `layers`, and for each other name of the same cut.

    A name stands for one module, or for several with "+" between ("block2+embed"); a mapping names the modules itself.

    Raises:
        UserError: for a name that the model does not have (the nearest are listed), or that stands for two cuts.
    """
    names = parse_layers(layers)
    stages = stage_names(model)
    cuts: dict[str, Cut] = {}
    for name in names:
        given = layers[name] if isinstance(layers, Mapping) else name
        parts = _parts_of(given) if isinstance(given, str) else list(given)
        modules = tuple(find_layer(model, part) for part in parts)
        if len(set(modules)) < len(modules):
            raise UserError(f"the layer '{name}' names one module twice: {', '.join(modules)}")
        cuts[name] = Cut(name if isinstance(layers, Mapping) else "+".join(modules), modules)
    sets = [frozenset(cut.modules) for cut in cuts.values()]
    if len(set(sets)) < len(names):
        listed = ", ".join(dict.fromkeys(cut.name for cut in cuts.values()))
        raise UserError(f"the layers '{','.join(names)}' name one module twice: {listed}")
    for cut in list(cuts.values()):
        if stages.get(cut.name, cut.name) != cut.name:
            raise UserError(
                f"'{cut.name}' is a submodule and also the network's name for the stage '{stages[cut.name]}', so a plan"
                f" for '{cut.name}' could mean either: rename the stage"
            )
        aliases = [alias for alias, name in stages.items() if name == cut.name]
        cuts |= dict.fromkeys([*aliases, cut.name], cut)
    return cuts


def _parts_of(name: str) -> list[str]:
    return [name] if "+" not in name else [part.strip() for part in name.split("+")]


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
