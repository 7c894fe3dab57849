"""Side inputs: which of a call's arguments hold a row for each row of the batch, and what the mixed rows carry."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mmgan.errors import UserError
from mmgan.mixing.plan import MixPlan
from mmgan.mixing.rules import rows_of
from mmgan.nests import map_nest

Kind = Literal["row", "shared"]
Route = Literal["before", "after", "both"]
"""Where a side input enters: only what is tapped depends on it, only what follows, or both."""


def argument_names(model: nn.Module) -> tuple[str, ...]:
    """The names of the forward's positional parameters, as messages and `inputs=` use them."""
    parameters = inspect.signature(model.forward).parameters.values()
    return tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))


class SideInputs:
    """The arguments of one call after the first, tensor by tensor.

    Args:
        names: of the positional parameters.
        kinds: what the user said of some of them, by name or by path.
        rows: N, rows of the batch.
        dim: where rows lie in the network's first input and hidden states.
    """

    def __init__(self, names: Sequence[str], kinds: Mapping[str, Kind], rows: int, dim: int) -> None:
        self.names, self.kinds, self.rows, self.dim = names, kinds, rows, dim

    def map(
        self, inputs: Sequence[Any], named: Mapping[str, Any], change: Callable[[str, Tensor, int], Tensor]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with `change(path, tensor, dim)` for each tensor that holds rows, except in the first one."""

        def of(path: str) -> Callable[[str, Tensor], Tensor]:
            def maybe(inside: str, leaf: Tensor) -> Tensor:
                dim = self.dim_of(path, path + inside, leaf)
                return leaf if dim is None else change(path + inside, leaf, dim)

            return maybe

        paths = [self.names[i] if i < len(self.names) else str(i) for i in range(len(inputs))]
        first = None if inputs else next(iter(named), None)
        new = [value if i == 0 else map_nest(of(paths[i]), value) for i, value in enumerate(inputs)]
        return tuple(new), {
            name: value if name == first else map_nest(of(name), value) for name, value in named.items()
        }

    def is_declared(self, path: str) -> bool:
        """Whether `inputs=` says what this one is."""
        return any(path == name or path.startswith((f"{name}[", f"{name}.")) for name in self.kinds)

    def dim_of(self, name: str, path: str, leaf: Tensor) -> int | None:
        """Where the rows lie in this tensor, or None if it is shared by all rows."""
        kind = self.kinds.get(path, self.kinds.get(name))
        if kind == "shared":
            return None
        dims = [d for d in dict.fromkeys((self.dim, 0)) if leaf.dim() > d and leaf.shape[d] == self.rows]
        if kind == "row" and not dims:
            raise UserError(
                f"inputs= calls '{path}' per row, but its shape {tuple(leaf.shape)} has no {self.rows} rows: pass a row"
                " for each row of the batch, or call it 'shared'"
            )
        return dims[0] if dims else None


def with_mixed(plan: MixPlan, leaf: Tensor, dim: int) -> Tensor:
    """A per-row input with what the mixed rows carry appended: (N, ...) -> (N + M, ...)."""
    return torch.cat([leaf, of_mixed(plan, leaf, dim)], dim)


def of_mixed(plan: MixPlan, leaf: Tensor, dim: int) -> Tensor:
    """What the mixed rows carry of a per-row input: floating point is mixed, integers are the left row's.

    (N, ...) -> (M, ...). The statistics rule keeps the left row's content, so its inputs too.
    """
    if not leaf.is_floating_point() or plan.rule == "statistics":
        return plan.take_left(leaf, dim)
    if plan.rule == "cutmix" and leaf.dim() < 3:
        return plan.mix_labels(leaf)
    return plan.mix(leaf, dim)


def with_replaced(plan: MixPlan, leaf: Tensor, dim: int) -> Tensor:
    """A per-row input of a replaced batch: (N, ...) -> (N, ...). Integers stay: both rows of a pair have the same."""
    return leaf.index_copy(dim, plan.left, of_mixed(plan, leaf, dim)) if leaf.is_floating_point() else leaf


def require_same_classes(plan: MixPlan, path: str, leaf: Tensor, dim: int) -> None:
    """Refuse integers that differ between the two rows of a pair: a mixed row cannot carry both.

    The plan's own `within` needs no look. Other tensors are compared: on a CPU with one line for the user, elsewhere
    and in a compiled call by an assertion on the device, so that nothing waits.

    Raises:
        UserError: naming both ways out.
    """
    if leaf.is_floating_point() or leaf is plan.within:
        return
    same = plan.take_left(leaf, dim) == rows_of(leaf, plan.right, dim)
    if plan.weight is not None:
        same = same | (plan.weight == 0).view([-1 if d == dim else 1 for d in range(same.dim())])
    within = f"draw the plan within them (policy.draw(..., within={path})), or " if leaf.dim() == 1 else ""
    message = (
        f"the integers of input '{path}' differ between the rows of a pair, and a mixed row cannot carry both: {within}"
        "make the module that reads them part of the layer ('layer+embed'), so that what it yields is mixed"
    )
    if torch.compiler.is_compiling() or leaf.device.type != "cpu":
        torch._assert_async(same.all(), message)
    elif not same.all():
        raise UserError(message)
