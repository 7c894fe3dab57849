"""The forwards of one mixed call: which rows each argument brings, what the taps do, which rows come out."""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmgan.errors import UserError
from mmgan.mixing.names import Cut
from mmgan.mixing.plan import PIXEL, MixPlan
from mmgan.mixing.rows import SideInputs, of_mixed, require_same_classes, with_mixed, with_replaced
from mmgan.mixing.rules import rows_of
from mmgan.mixing.taps import Action, Call, append_at, change_first, mix_at, mixable, on_rows, replace_at
from mmgan.mixing.verdict import Mode, Verdict
from mmgan.nests import leaves, map_nest

if TYPE_CHECKING:
    from mmgan.mixing.mixed import Mixed

Arguments = tuple[Sequence[Any], Mapping[str, Any]]


class Reached(Exception):
    """The layer has run: nothing of the forward is needed any more."""


class Passes:
    """One call of a `Mixed`: its arguments, and how they are run.

    Args:
        net: the wrapper.
        call: what drives its taps.
        side: which arguments hold rows.
        inputs, named: the arguments.
    """

    def __init__(
        self, net: "Mixed", call: Call, side: SideInputs, inputs: Sequence[Any], named: Mapping[str, Any]
    ) -> None:
        self.net, self.call, self.side, self.inputs, self.named = net, call, side, inputs, named
        self.dim, self.detach = net.batch_dim, net.detach

    def joint(self, cut: Cut, plan: MixPlan, verdict: Verdict | None, mode: Mode) -> Any:
        """All rows in one forward."""
        routes = {} if verdict is None else verdict.routes
        along = self._has_side_inputs() if verdict is None else verdict.along or (verdict.counts and mode != "replace")
        self._check_classes(plan, routes)
        if mode == "alone" and verdict is not None and verdict.meets_before:
            return self._rows_out(self.separate(cut, plan, verdict, mixed_alone=True), plan, mode, None)
        if mode == "append" or along or (verdict is not None and verdict.feeds):
            if mode == "alone":
                plan, self.inputs, self.named = self._compact(plan)
                self.side = SideInputs(self.side.names, self.side.kinds, plan.rows, self.dim)
            output = self._append(cut, plan, routes, along)
            return self._chosen(output, plan, mode, verdict)
        if mode == "replace":
            inputs, named = self._mapped(plan, routes, with_replaced)
            actions = {name: replace_at(name, plan, self.dim, self.detach) for name in cut.modules}
        else:
            inputs, named, actions = self._alone(cut, plan, routes)
        return self._rows_out(self._run(inputs, named, actions), plan, mode, verdict)

    def replace_at_several(self, known: Mapping[Cut, tuple[MixPlan, Verdict | None]]) -> Any:
        """Several layers in one forward, each with rows of its own."""
        inputs, named = self.inputs, self.named
        actions: dict[str, Action] = {}
        for cut, (plan, verdict) in known.items():
            if (verdict is None and self._has_side_inputs()) or (
                verdict is not None and (verdict.along or verdict.feeds)
            ):
                raise UserError(
                    f"layer '{cut.name}' needs the unmixed rows too, so it takes one plan at a time: draw one layer for"
                    " the batch"
                )
            routes = {} if verdict is None else verdict.routes
            self._check_classes(plan, routes)
            inputs, named = self._mapped(plan, routes, with_replaced, (inputs, named))
            for name in cut.modules:
                if name in actions:
                    raise UserError(f"two plans mix at '{name}': each needs a layer of its own")
                actions[name] = replace_at(name, plan, self.dim, self.detach)
        plan, verdict = next(iter(known.values()))
        return self._rows_out(self._run(inputs, named, actions), plan, "replace", verdict)

    def separate(self, cut: Cut, plan: MixPlan, verdict: Verdict | None, mixed_alone: bool = False) -> Any:
        """The parts of the batch alone, then the mixed rows alone: N -> N + M, or M rows with `mixed_alone`.

        For networks whose rows see each other. The last pass needs some M rows to reach the layer; what it computes
        before the layer is dropped, and running statistics there are not updated by it.
        """
        if mixed_alone and torch.compiler.is_compiling():
            raise UserError("rows meet before the layer, so mode='alone' takes several passes, which do not compile")
        routes = {} if verdict is None else verdict.routes
        self._check_classes(plan, routes)
        kept: dict[str, list[dict[str, Tensor]]] = {name: [] for name in cut.modules}
        outputs: list[Any] = []
        sizes = list(plan.parts)
        with _untracked(self.net.model, mixed_alone):
            for start, size in zip(accumulate(sizes, initial=0), sizes, strict=False):
                inputs, named = self._part(start, size)
                remaining = set(cut.modules)
                actions = {
                    name: self._keep(name, size, kept[name], remaining if mixed_alone else None) for name in cut.modules
                }
                try:
                    outputs.append(self._run(inputs, named, actions))
                except Reached:
                    continue
        mixed = {
            name: {path: self._mix(plan, torch.cat([part[path] for part in parts], self.dim)) for path in parts[0]}
            for name, parts in kept.items()
        }
        inputs, named = self._mapped(plan, routes, of_mixed)
        x = lambda values: plan.take_left(values.detach(), self.dim)  # noqa: E731 - any M rows that reach the layer
        if PIXEL in cut.modules:
            x = lambda values: mixed[PIXEL][""]  # noqa: E731
        inputs, named = change_first(inputs, named, x)
        tracking = _untracked(self.net.model, cut.modules != (PIXEL,))
        inserting = {
            name: self._insert(name, len(plan), mixed[name], tracking) for name in cut.modules if name != PIXEL
        }
        with tracking:
            last = self._run(inputs, named, inserting)
        if mixed_alone:
            return last
        through = None if verdict is None else verdict.through
        return _concatenated(outputs, last, through, self.dim)

    def parts(self, plan: MixPlan) -> Any:
        """The parts of the batch alone; nothing is mixed, N -> N."""
        sizes = list(plan.parts)
        starts = accumulate(sizes, initial=0)
        outputs = [self._run(*self._part(start, size), {}) for start, size in zip(starts, sizes, strict=False)]
        return _concatenated(outputs[:-1], outputs[-1], None, self.dim)

    # How rows flow

    def _append(self, cut: Cut, plan: MixPlan, routes: Mapping[str, str], along: bool) -> Any:
        actions = {name: append_at(name, plan, self.dim, self.detach) for name in cut.modules}
        inputs, named = self.side.map(
            self.inputs,
            self.named,
            lambda path, leaf, dim: leaf if routes.get(path) == "before" and not along else with_mixed(plan, leaf, dim),
        )
        if along:  # copies: what the layers before compute of them is overwritten at the layer
            inputs, named = change_first(inputs, named, lambda x: torch.cat([x, plan.take_left(x, self.dim)], self.dim))
        return self._run(inputs, named, actions)

    def _alone(self, cut: Cut, plan: MixPlan, routes: Mapping[str, str]) -> tuple[Any, Any, dict[str, Action]]:
        """The rows that the plan uses up to the layer, M rows after it."""
        compact, _, _ = self._compact(plan)
        inputs, named = self.side.map(
            self.inputs,
            self.named,
            lambda path, leaf, dim: (
                _used(plan, leaf, dim) if routes.get(path) == "before" else of_mixed(plan, leaf, dim)
            ),
        )
        inputs, named = change_first(inputs, named, lambda x: _used(plan, x, self.dim))
        return inputs, named, {name: mix_at(name, compact, self.dim, self.detach) for name in cut.modules}

    def _compact(self, plan: MixPlan) -> tuple[MixPlan, Sequence[Any], Mapping[str, Any]]:
        """The plan over the rows that it uses, and the arguments with those rows alone."""
        if plan.used is None:
            return plan, self.inputs, self.named
        count = len(plan.used)
        place = torch.empty(plan.rows, dtype=torch.int64, device=plan.left.device)
        place = place.index_copy(0, plan.used, torch.arange(count, device=place.device))  # (rows,)
        left, right = (place.index_select(0, index) for index in (plan.left, plan.right))
        within = None if plan.within is None else rows_of(plan.within, plan.used)
        compact = MixPlan(
            plan.layer, left, right, plan.lam, (count,), plan.rule, plan.box, plan.weight, within, plan.pack
        )
        inputs, named = self._cut_rows(lambda leaf, dim: _used(plan, leaf, dim))
        return compact, inputs, named

    def _cut_rows(self, change: Callable[[Tensor, int], Tensor]) -> Arguments:
        inputs, named = self.side.map(self.inputs, self.named, lambda _, leaf, dim: change(leaf, dim))
        return change_first(inputs, named, lambda x: change(x, self.dim))

    def _part(self, start: int, size: int) -> Arguments:
        """The arguments with rows start to start + size alone."""
        return self._cut_rows(lambda leaf, dim: leaf.narrow(dim, start, size))

    def _mapped(
        self,
        plan: MixPlan,
        routes: Mapping[str, str],
        change: Callable[[MixPlan, Tensor, int], Tensor],
        arguments: Arguments | None = None,
    ) -> Arguments:
        """Side inputs changed, those aside that only what is before the layer depends on."""
        inputs, named = arguments or (self.inputs, self.named)
        keep = change is with_replaced
        return self.side.map(
            inputs,
            named,
            lambda path, leaf, dim: leaf if keep and routes.get(path) == "before" else change(plan, leaf, dim),
        )

    def _check_classes(self, plan: MixPlan, routes: Mapping[str, str]) -> None:
        """Integers must be the same in both rows of a pair, unless the layer alone depends on them."""

        def check(path: str, leaf: Tensor, dim: int) -> Tensor:
            if routes.get(path) != "before":
                require_same_classes(plan, path, leaf, dim)
            return leaf

        self.side.map(self.inputs, self.named, check)

    def _has_side_inputs(self) -> bool:
        found: list[str] = []
        self.side.map(self.inputs, self.named, lambda path, leaf, _: found.append(path) or leaf)  # type: ignore[func-returns-value]
        return bool(found)

    def _run(self, inputs: Sequence[Any], named: Mapping[str, Any], actions: Mapping[str, Action]) -> Any:
        return self.net.picked(self.call.run(self.net.model, inputs, named, actions))

    def _mix(self, plan: MixPlan, hidden: Tensor) -> Tensor:
        return plan.mix(hidden.detach() if self.detach else hidden, self.dim)  # (M, ...)

    def _keep(self, name: str, rows: int, kept: list[dict[str, Tensor]], remaining: set[str] | None) -> Action:
        """Note what the layer yields; with `remaining` end the forward when no module is left in it."""

        def act(output: Any) -> Any:
            # The next layer may work in place, as ReLU(inplace=True) does.
            found = {p: leaf.clone() for p, leaf in leaves(output) if mixable(leaf, (rows,), self.dim)}
            on_rows(name, (rows,), self.dim, lambda h: h)(output)
            kept.append(found)
            if remaining is not None:
                remaining.discard(name)
                if not remaining:
                    raise Reached
            return output

        return act

    def _insert(self, name: str, rows: int, mixed: Mapping[str, Tensor], tracking: "_untracked") -> Action:
        def act(output: Any) -> Any:
            tracking.track()
            return map_nest(lambda path, leaf: mixed[path] if mixable(leaf, (rows,), self.dim) else leaf, output)

        return act

    # Which rows come out

    def _chosen(self, output: Any, plan: MixPlan, mode: Mode, verdict: Verdict | None) -> Any:
        """Of an appended forward's rows those of the mode."""
        out = plan.of_outputs()
        if mode == "append":
            return self._rows_out(output, plan, mode, verdict)
        n, m = out.rows, len(out)

        def choose(path: str, leaf: Tensor) -> Tensor:
            dim = _row_dim(leaf, (n + m,), self.dim)
            if dim is None:
                return leaf
            last = leaf.narrow(dim, n, m)
            return last if mode == "alone" else leaf.narrow(dim, 0, n).index_copy(dim, out.left, last)

        return self._rows_out(map_nest(choose, output), plan, mode, verdict)

    def _rows_out(self, output: Any, plan: MixPlan, mode: Mode, verdict: Verdict | None) -> Any:
        """The output, if each of its tensors has the rows that it must have."""
        n, m = plan.rows // plan.pack, len(plan) // plan.pack
        wanted = {"replace": n, "append": n + m, "alone": m}[mode]
        through = None if verdict is None else verdict.through
        for path, leaf in leaves(output):
            counts = (wanted, n) if through is None else (wanted,) if path in through else (n,)
            if _row_dim(leaf, counts, self.dim) is None:
                raise UserError(
                    f"output{path} of shape {tuple(leaf.shape)} does not have the {wanted} rows of mode='{mode}': leave"
                    " it out with Mixed(..., pick=...), or mix at another layer"
                )
        return output


class _untracked:
    """BatchNorms do not update their running statistics, until `track` or the end of the block."""

    def __init__(self, model: nn.Module, on: bool) -> None:
        self.norms = [
            module
            for module in (model.modules() if on else ())
            if isinstance(module, _BatchNorm) and module.training and module.track_running_stats
        ]

    def __enter__(self) -> None:
        for norm in self.norms:  # not by restoring buffers: the backward of earlier passes holds them
            norm.track_running_stats = False

    def track(self) -> None:
        for norm in self.norms:
            norm.track_running_stats = True

    def __exit__(self, *_: object) -> None:
        self.track()


def _used(plan: MixPlan, leaf: Tensor, dim: int) -> Tensor:
    return leaf if plan.used is None else rows_of(leaf, plan.used, dim)


def _row_dim(leaf: Tensor, counts: Sequence[int], dim: int) -> int | None:
    """Where a tensor has one of these numbers of rows."""
    return next((d for d in dict.fromkeys((dim, 0)) if leaf.dim() > d and leaf.shape[d] in counts), None)


def _concatenated(outputs: Sequence[Any], last: Any, through: frozenset[str] | None, dim: int) -> Any:
    """The outputs of the parts and of the mixed rows, joined row by row; what comes from before the layer has no mixed
    rows."""
    parts = [dict(leaves(output)) for output in outputs]

    def join(path: str, leaf: Tensor) -> Tensor:
        pieces = [part[path] for part in parts]
        if through is None or path in through:
            pieces.append(leaf)
        return torch.cat(pieces, dim if leaf.dim() > dim else 0)

    return map_nest(join, last)
