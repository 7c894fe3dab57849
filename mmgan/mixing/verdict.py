"""What the look found of a layer, and the lines that say why it is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mmgan.errors import UserError
from mmgan.mixing.rows import Route

Mode = Literal["replace", "append", "alone"]
MODES: tuple[Mode, ...] = ("replace", "append", "alone")


@dataclass(frozen=True)
class Verdict:
    """What the look found of one layer.

    Attributes:
        faults: mode -> one line that says why it is refused; a mode that is not named here is sound.
        meets: mode -> one line that says that rows see each other; passes of their own serve such a network.
        routes: path of each per-row side input -> where it enters.
        feeds: a module of the layer feeds another one, which then needs the unmixed rows too.
        meets_before: rows see each other before the layer.
        through: paths of the output's tensors that the layer decides; the others come from before it. None: not known.
        pack: rows that the network joins to one.
        counts: what follows the layer counts the rows of the network's input, so that appended rows, or mixed rows
            alone, must come from there.
    """

    faults: Mapping[Mode, str] = field(default_factory=dict)
    meets: Mapping[Mode, str] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    feeds: bool = False
    meets_before: bool = False
    through: frozenset[str] | None = None
    pack: int = 1
    counts: bool = False

    def require(self, mode: Mode, *, separate: bool = False) -> None:
        """Refuse the layer in this mode if it is not sound.

        Raises:
            UserError: the line that says why.
        """
        fault = self.faults.get(mode) or (None if separate else self.meets.get(mode))
        if fault:
            raise UserError(fault)

    @property
    def along(self) -> bool:
        """Whether copies of the mixed rows must travel along from the input."""
        return "both" in self.routes.values()


def refused(fault: str) -> Verdict:
    return Verdict(dict.fromkeys(MODES, fault))


def meeting_lines(met: str | None, met_fixed: str | None, norms: Sequence[str], hint: str) -> dict[Mode, str]:
    """Mode -> why rows that see each other forbid it."""
    lines: dict[Mode, str] = {}
    if met is not None:
        where = f"in '{norms[0]}', a BatchNorm in training mode" if norms and met_fixed is None else f"({met})"
        lines["append"] = (
            f"mode='append' would let rows see each other {where}: use Mixed(..., passes='separate'), or mode='alone',"
            f" in which the mixed rows are a batch of their own{hint}"
        )
    if met_fixed is not None:
        lines["replace"] = (
            f"mode='replace' would let the mixed rows change the others, since rows see each other ({met_fixed}): use"
            f" mode='alone', in which the mixed rows are a batch of their own{hint}"
        )
    return lines
