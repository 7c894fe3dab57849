"""A table of a network's modules: which of them are cuts, and what mixing there would cost."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmgan.mixing.names import Cut, stage_names
from mmgan.mixing.plan import PIXEL
from mmgan.mixing.probe import Probe
from mmgan.mixing.rows import SideInputs
from mmgan.mixing.soundness import verdicts_on
from mmgan.mixing.taps import first_input
from mmgan.mixing.trial import Trial, trial
from mmgan.mixing.verdict import MODES, Mode, Verdict
from mmgan.nests import leaves


@dataclass(frozen=True)
class Candidate:
    """A module that could be a layer.

    Attributes:
        name: its dotted name, or "pixel".
        alias: the network's own short name for it ("1"), or "".
        shape: of the first tensor that it yields, rows included; () where it yields none.
        fault: why it is no layer, or None for a cut.
        modes: the modes in which it can be mixed in one forward, passes="joint".
        along: whether copies of the mixed rows travel along from the input, at the cost of pixel mixing.
        share_before: multiply-adds before and in it, as a share of the whole forward's.
    """

    name: str
    alias: str
    shape: tuple[int, ...]
    fault: str | None
    modes: tuple[Mode, ...]
    along: bool
    share_before: float

    @property
    def why(self) -> str | None:
        """The fault in a few words."""
        return self.fault and re.split(": |; ", self.fault)[0].removeprefix(f"layer '{self.name}' ")


@dataclass(frozen=True)
class Inspection:
    """All places of a network, in the order in which they run; as text a table."""

    places: tuple[Candidate, ...]

    @property
    def cuts(self) -> tuple[str, ...]:
        """The names of the modules that are cuts."""
        return tuple(place.name for place in self.places if place.fault is None)

    def only_cuts(self) -> "Inspection":
        """The table without the modules that are no cuts."""
        return Inspection(tuple(place for place in self.places if place.fault is None))

    def __str__(self) -> str:
        rows = [("layer", "yields", "before", "modes", "")]
        for place in self.places:
            name = f"{place.name} ({place.alias})" if place.alias else place.name
            how = place.why or ("cut; mixed rows travel along from the input" if place.along else "cut")
            shape = "x".join(map(str, place.shape[1:])) or "-"
            rows.append((name, shape, f"{place.share_before:.0%}", ", ".join(place.modes) or "-", how))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        return "\n".join(
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
            for row in rows
        )


def inspect_network(
    model: nn.Module, inputs: Sequence[Any], named: Mapping[str, Any], side: SideInputs, pick: Callable[[Any], Any]
) -> Inspection:
    """Look at every module that runs. Arguments as for `mmgan.mixing.soundness.look_at`."""
    aliases: dict[str, str] = {}
    for alias, name in stage_names(model).items():
        aliases.setdefault(name, alias)
    with trial(model, inputs, named, pick) as network:
        order, shares, shapes = _walk(network)
        verdicts = verdicts_on(Probe(network, side), [Cut(name, (name,)) for name in order], suggest=False)
    return Inspection(
        tuple(_place(name, aliases.get(name, ""), shapes[name], verdicts[name], shares[name]) for name in order)
    )


def _walk(network: Trial) -> tuple[list[str], dict[str, float], dict[str, tuple[int, ...]]]:
    """The modules in the order in which they end, the share of the arithmetic done by then, and what they yield."""
    shares: dict[str, float] = {PIXEL: 0.0}
    with FlopCounterMode(display=False) as counter:
        run = network.run(
            watch=[name for name in network.modules if "parametrizations" not in name.split(".")],
            on_output=lambda name: shares.update({name: counter.get_total_flops()}),
        )
    total = max(counter.get_total_flops(), 1)
    order = [PIXEL, *(name for name in shares if name != PIXEL)]
    shapes: dict[str, tuple[int, ...]] = {PIXEL: tuple(first_input(network.inputs, network.named).shape)}
    for name in order[1:]:
        found = [tuple(leaf.shape) for _, leaf in leaves(run.seen[name].output)]
        shapes[name] = found[0] if found else ()
    return order, {name: share / total for name, share in shares.items()}, shapes


def _place(name: str, alias: str, shape: tuple[int, ...], verdict: Verdict, share: float) -> Candidate:
    modes = tuple(mode for mode in MODES if mode not in {**verdict.faults, **verdict.meets})
    fault = next(iter(verdict.faults.values())) if len(verdict.faults) == len(MODES) else None
    return Candidate(name, alias, shape, fault, modes, verdict.along or verdict.counts, share)
