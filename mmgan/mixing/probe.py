"""What the look asks of a network: runs with rows perturbed, or with a layer held."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from mmgan.mixing.differences import Split, different, gradients, is_zero, perturbed
from mmgan.mixing.plan import PIXEL
from mmgan.mixing.rows import SideInputs
from mmgan.mixing.taps import change_first, first_input, mixable
from mmgan.mixing.trial import Observed, Seen, Trial
from mmgan.nests import leaves, map_nest


class Probe:
    """A network under trial with the rows of one call: what changes when its rows or a layer are changed or held.

    Attributes:
        network: the trial.
        side: which arguments hold rows.
        rows: N, rows of the call.
        dim: where they lie in the first input and the layers.
        base: the run as it is.
    """

    def __init__(self, network: Trial, side: SideInputs) -> None:
        self.network, self.side = network, side
        self.rows, self.dim = side.rows, side.dim
        self.base = network.run()

    def row_dims(self, leaf: Tensor) -> list[int]:
        """Where an output may hold its rows; packed rows count."""
        dims = [d for d in dict.fromkeys((self.dim, 0)) if leaf.dim() > d and leaf.shape[d] == self.rows]
        if not dims and leaf.dim() and len(leaf) and len(leaf) < self.rows and self.rows % len(leaf) == 0:
            return [0]
        return dims

    def pack(self) -> int:
        return max(self.rows // leaf.shape[self.row_dims(leaf)[0]] for _, leaf in leaves(self.base.output))

    def layout_hint(self) -> str:
        x = first_input(self.network.inputs, self.network.named)
        other = 1 - self.dim
        if x.dim() > other and x.shape[other] == self.rows:
            return f"; where the batch lies at dimension {other}, use Mixed(..., batch_dim={other})"
        return ""

    def is_cut(self, name: str, output: Any) -> bool:
        """Whether the output decides all that follows, by values alone."""
        held = self.holding({name: output})
        base, other = self.network.run(hold=held), self.perturbed(None, hold=held)
        moved = self.network.run(hold=self.holding({name: self.moved(output)}))
        reaches = False
        for (_, a), (_, b), (_, c) in zip(*(leaves(r.output) for r in (base, other, moved)), strict=True):
            if different(a, b) and different(a, c):
                return False
            reaches |= different(a, c)
        return reaches

    def holds_rows(self, seen: Seen) -> bool:
        """Whether a module ran once and yielded rows to mix."""
        return seen.times == 1 and any(mixable(leaf, (self.rows,), self.dim) for _, leaf in leaves(seen.output))

    def holding(self, held: Mapping[str, Any]) -> dict[str, Callable[[Any], Any]]:
        """What lets the held rows flow on; tensors that hold no rows flow as they come."""

        def of(values: Mapping[str, Tensor]) -> Callable[[Any], Any]:
            return lambda output: map_nest(
                lambda path, leaf: values[path].clone() if mixable(leaf, (self.rows,), self.dim) else leaf, output
            )

        return {name: of(dict(leaves(output))) for name, output in held.items()}

    def moved(self, output: Any) -> Any:
        return map_nest(
            lambda _, leaf: perturbed(leaf, None, self.dim) if mixable(leaf, (self.rows,), self.dim) else leaf, output
        )

    def _arguments(self, split: Split | None, which: str | None) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """The arguments with rows of one input perturbed: the first one, or the side input of that path."""
        inputs, named = self.network.inputs, self.network.named
        if which is None:
            return change_first(inputs, named, lambda x: perturbed(x, split, self.dim))
        return self.side.map(
            inputs, named, lambda path, leaf, dim: perturbed(leaf, split, dim) if path == which else leaf
        )

    def perturbed(self, split: Split | None, which: str | None = None, **more: Any) -> Observed:
        inputs, named = self._arguments(split, which)
        return self.network.run(inputs, named, **more)

    def with_gradient(self, watch: Sequence[str], splits: Sequence[tuple[Split, Split]]) -> Observed:
        """A run that also finds (path, dimension, split) of outputs whose rows in the split have gradients outside."""
        inputs, named = self.network.inputs, self.network.named
        if not first_input(inputs, named).is_floating_point():
            return replace(self.network.run(watch=watch), found=set())
        inputs, named = change_first(inputs, named, lambda x: x.detach().clone().requires_grad_())
        x = first_input(inputs, named)

        def spilled(output: Any) -> set[tuple[str, int, bytes]]:
            found = set()
            for path, leaf in leaves(output):
                for d in self.row_dims(leaf):
                    for split, rows in splits:
                        (gradient,) = gradients(leaf, [x], split if leaf.shape[d] == len(split) else rows, d)
                        if gradient is not None and not is_zero(gradient.movedim(self.dim, 0)[(~rows).to(x.device)]):
                            found.add((path, d, split_key(rows)))
            return found

        return self.network.run(inputs, named, watch=watch, then=spilled)

    def held_with_gradient(self, held: Mapping[str, Any]) -> Observed:
        """The held run, which finds path -> whether the input (or the first floating rows after token ids) has a
        gradient from that output, and whether the layer has."""
        inputs, named = self.network.inputs, self.network.named
        started: list[Tensor] = []
        hold = self.holding({name: _leaf_of_gradient(output, started) for name, output in held.items()})
        begun: list[Tensor] = []
        if PIXEL not in held and first_input(inputs, named).is_floating_point():
            inputs, named = change_first(inputs, named, lambda x: x.detach().clone().requires_grad_())
            begun.append(first_input(inputs, named))
        elif PIXEL not in held and (start := self.first_floating()) is not None and start[0] not in held:
            hold |= self.holding({start[0]: _leaf_of_gradient(start[1], begun)})

        def reached(output: Any) -> dict[str, tuple[bool, bool]]:
            found = {}
            for path, leaf in leaves(output):
                ends = gradients(leaf, [*begun, *started])
                by_input, by_layer = ends[: len(begun)], ends[len(begun) :]
                found[path] = not all(map(is_zero, by_input)), not all(map(is_zero, by_layer))
            return found

        return self.network.run(inputs, named, hold=hold, then=reached)

    def first_floating(self) -> tuple[str, Any] | None:
        """The first module that yields floating-point rows, with its output."""
        order: list[str] = []
        run = self.network.run(watch=list(self.network.modules), on_output=order.append)
        for name in order:
            if self.holds_rows(run.seen[name]):
                return name, run.seen[name].output
        return None

    def sound_modules(self, most: int) -> list[str]:
        """At most `most` single modules that are cuts, outer ones first, in the order in which they run."""
        order: list[str] = []
        run = self.network.run(watch=list(self.network.modules), on_output=order.append)
        fit = [name for name in dict.fromkeys(order) if self.holds_rows(run.seen[name])]
        found: list[str] = []
        for name in sorted(fit, key=lambda name: name.count("."))[:40]:
            if self.is_cut(name, run.seen[name].output):
                found.append(name)
            if len(found) == most:
                break
        return sorted(found, key=order.index)


def split_key(split: Split) -> bytes:
    return bytes(split.tolist())


def _leaf_of_gradient(output: Any, started: list[Tensor]) -> Any:
    def begin(_: str, leaf: Tensor) -> Tensor:
        if not leaf.is_floating_point():
            return leaf
        started.append(leaf.detach().clone().requires_grad_())
        return started[-1]

    return map_nest(begin, output)
