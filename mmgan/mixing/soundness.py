"""The look before the first mix: whether a layer of this network can be mixed, and how.

Two tests, and both must pass: values to the bit, and exact zeros of gradients. Values see what gradients do not (paths
through `no_grad`, integers, top-k); gradients see what the values' precision hides. What is asked:

1. Does input row j change output row i?            Rows see each other: no appended rows.
2. Does input row j change row i of the layer?      They meet before it, or the batch is not its first dimension.
3. With the layer held, does the input still change the output?   A path runs around it: it is no cut.
4. Does every output have the batch's rows?
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmgan.mixing.differences import Split, changed_rows, different, splits_of
from mmgan.mixing.names import Cut
from mmgan.mixing.probe import Probe, split_key
from mmgan.mixing.rows import Route, SideInputs
from mmgan.mixing.taps import mixable, rows_fault
from mmgan.mixing.trial import Observed, Seen, batch_norms_apart, trial
from mmgan.mixing.verdict import MODES, Mode, Verdict, meeting_lines, refused
from mmgan.nests import leaves, map_nest


def look_at(
    model: nn.Module, cuts: Sequence[Cut], inputs: Sequence[Any], named: Mapping[str, Any], side: SideInputs, pick: Any
) -> dict[str, Verdict]:
    """The verdict on each cut, by its name.

    Args:
        model: the network; it is run on clones of its parameters and buffers.
        cuts: the layers.
        inputs, named: the arguments of a call with all of its rows.
        side: which of them hold rows.
        pick: the network's output -> what is looked at.
    """
    with trial(model, inputs, named, pick) as network:
        return verdicts_on(Probe(network, side), cuts)


def verdicts_on(probe: Probe, cuts: Sequence[Cut], suggest: bool = True) -> dict[str, Verdict]:
    """See `look_at`. With `suggest` the line about a layer that is no cut names modules that are."""
    watch = sorted({module for cut in cuts for module in cut.modules})
    if fault := _same_twice(probe) or _rows_of_output(probe):
        return {cut.name: refused(fault) for cut in cuts}
    norms = [
        name
        for name, module in probe.network.model.named_modules()
        if isinstance(module, _BatchNorm) and (module.training or not module.track_running_stats)
    ]
    met, met_taps = _meeting(probe, watch)
    with batch_norms_apart(probe.network.model):
        met_fixed, met_taps_fixed = _meeting(probe, watch) if norms else (met, met_taps)
        side_faults, side_taps = _side_rows(probe, watch, met_fixed is not None)
        seen = probe.network.run(watch=watch).seen
        found = {}
        for cut in cuts:
            fault = side_faults or _unfit(probe, cut, seen, met_taps | met_taps_fixed)
            if fault:
                found[cut.name] = refused(fault)
                continue
            verdict = _cut(probe, cut, seen, side_taps, suggest)
            found[cut.name] = replace(
                verdict,
                meets=meeting_lines(met, met_fixed, norms, probe.layout_hint()),
                meets_before=any(name in met_taps for name in cut.modules),
                pack=probe.pack(),
            )
    return found


def _same_twice(probe: Probe) -> str | None:
    again = probe.network.run()
    for (path, first), (_, second) in zip(leaves(probe.base.output), leaves(again.output), strict=True):
        if different(first, second):
            return (
                f"the network yields other values for the same input and random numbers (output{path}): it cannot"
                " be checked; make it deterministic, or use Mixed(..., check=False) if you know the layer is sound"
            )
    return None


def _rows_of_output(probe: Probe) -> str | None:
    found = list(leaves(probe.base.output))
    if not found:
        return "the network's output holds no tensor: take the logits out of it with Mixed(..., pick=...)"
    for path, leaf in found:
        if not probe.row_dims(leaf):
            return (
                f"output{path} of shape {tuple(leaf.shape)} does not have the batch's {probe.rows} rows: leave it"
                " out with Mixed(..., pick=...), or give each part of the batch a call of its own"
            )
    return None


def _meeting(probe: Probe, watch: Sequence[str]) -> tuple[str | None, dict[str, int]]:
    """Where rows see each other: the path of an output, and module -> where its rows lie instead (-1: nowhere)."""
    groups = probe.rows // probe.pack()
    splits = [(split, split.repeat_interleave(probe.rows // groups)) for split in splits_of(groups)]
    base = probe.with_gradient(watch, splits)
    output: str | None = None
    taps: dict[str, int] = {}
    for split, rows in splits:
        run = probe.perturbed(rows, watch=watch)
        if output is None:
            output = _met_output(probe, base, run, split, rows)
        for name in watch:
            for (_, a), (_, b) in zip(leaves(base.seen[name].output), leaves(run.seen[name].output), strict=True):
                if mixable(a, (probe.rows,), probe.dim) and (changed_rows(a, b, probe.dim) & ~rows).any():
                    taps[name] = _elsewhere(probe, a, b, rows)
    return output, taps


def _met_output(probe: Probe, base: Observed, run: Observed, split: Split, rows: Split) -> str | None:
    """The output whose rows outside of the split change with the input's rows in it."""
    for (path, a), (_, b) in zip(leaves(base.output), leaves(run.output), strict=True):
        apart = False
        for d in probe.row_dims(a):
            own = split if a.shape[d] == len(split) else rows
            spilled = (changed_rows(a, b, d) & ~own).any() or (path, d, split_key(rows)) in base.found
            apart |= not spilled
        if not apart:
            return f"output{path}"
    return None


def _elsewhere(probe: Probe, a: Tensor, b: Tensor, rows: Split) -> int:
    """The other dimension at which the rows do lie, or -1."""
    for d in range(a.dim()):
        if d != probe.dim and a.shape[d] == probe.rows and not (changed_rows(a, b, d) & ~rows).any():
            return d
    return -1


def _side_paths(probe: Probe) -> list[str]:
    paths: list[str] = []
    probe.side.map(probe.network.inputs, probe.network.named, lambda path, leaf, _: paths.append(path) or leaf)  # type: ignore[func-returns-value]
    return paths


def _side_rows(probe: Probe, watch: Sequence[str], met: bool) -> tuple[str | None, dict[str, set[str]]]:
    """A line about a side input whose element j reaches other rows than j, and path -> the modules it reaches."""
    base = probe.network.run(watch=watch)
    reached: dict[str, set[str]] = {}
    for path in _side_paths(probe):
        reached[path] = set()
        for split in list(splits_of(probe.rows))[:4]:
            run = probe.perturbed(split, path, watch=watch)
            for name in watch:
                pairs = zip(leaves(base.seen[name].output), leaves(run.seen[name].output), strict=True)
                if any(different(a, b) for (_, a), (_, b) in pairs):
                    reached[path].add(name)
            for (_, a), (_, b) in zip(leaves(base.output), leaves(run.output), strict=True):
                dims = [d for d in probe.row_dims(a) if a.shape[d] == probe.rows]
                spilled = dims and all((changed_rows(a, b, d) & ~split).any() for d in dims)
                if spilled and not probe.side.is_declared(path):
                    return (
                        f"input '{path}' has {probe.rows} rows, as many as the batch, but its row j reaches other"
                        f" rows of the output: say Mixed(..., inputs={{'{path}': 'shared'}}) if it belongs to all"
                        f" rows" + (", or 'row' if it holds a row for each" if met else "")
                    ), reached
    return None, reached


def _unfit(probe: Probe, cut: Cut, seen: Mapping[str, Seen], met: Mapping[str, int]) -> str | None:
    for name in cut.modules:
        found = seen[name]
        if found.times == 0:
            return (
                f"layer '{name}' did not run in this forward, so nothing was mixed there: choose a layer that"
                " always runs, and wrap the model in Mixed before torch.compile or DataParallel sees it"
            )
        if found.times > 1:
            return f"layer '{name}' runs more than once in a forward: choose one that runs once"
        if found.recomputed:
            return (
                f"layer '{name}' runs inside a segment of gradient checkpointing, which runs it again in the"
                " backward and would mix nothing there: choose a layer outside of the segment, or switch"
                " checkpointing off"
            )
        if fault := rows_fault(name, found.output, (probe.rows,), probe.dim):
            return fault
        if (dim := met.get(name, -1)) >= 0:
            return (
                f"layer '{name}' has the batch's rows at dimension {dim} of its output, not at {probe.dim}: use"
                f" Mixed(..., batch_dim={dim})"
            )
    return None


def _cut(probe: Probe, cut: Cut, seen: Mapping[str, Seen], side_taps: Mapping[str, set[str]], suggest: bool) -> Verdict:
    """Hold the layer, and see what still changes the output."""
    held = {name: seen[name].output for name in cut.modules}
    base = probe.held_with_gradient(held)
    other = probe.perturbed(None, hold=probe.holding(held))
    moved = probe.network.run(hold=probe.holding({name: probe.moved(output) for name, output in held.items()}))
    around, through = set(), set()
    for (path, a), (_, b), (_, c) in zip(*(leaves(r.output) for r in (base, other, moved)), strict=True):
        by_input, by_layer = base.found[path]
        if different(a, b) or by_input:
            around.add(path)
        if different(a, c) or by_layer:
            through.add(path)
    routes: dict[str, Route] = {}
    for path, modules in side_taps.items():
        before = bool(modules & set(cut.modules))
        after = any(
            different(a, b)
            for (_, a), (_, b) in zip(
                leaves(base.output),
                leaves(probe.perturbed(None, path, hold=probe.holding(held)).output),
                strict=True,
            )
        )
        routes[path] = "both" if before and after else "after" if after else "before"
    faults: dict[Mode, str] = {}
    if leak := sorted(around & through):
        faults = dict.fromkeys(MODES, _leak(probe, cut, leak[0], suggest))
    elif not through:
        faults = dict.fromkeys(
            MODES, f"what could be mixed at layer '{cut.name}' does not reach the network's output: choose another"
        )
    elif around - through or len(through) < len(list(leaves(base.output))):
        before_paths = sorted({path for path, _ in leaves(base.output)} - through)
        faults["alone"] = (
            f"mode='alone' has no rows for output{before_paths[0]}, which comes from before layer '{cut.name}':"
            " leave it out with Mixed(..., pick=...)"
        )
    verdict = Verdict(faults, {}, routes, _feeds(probe, cut, held), False, frozenset(through))
    return replace(verdict, counts=not leak and _counts(probe, cut, routes, through))


def _counts(probe: Probe, cut: Cut, routes: Mapping[str, Route], through: Set[str]) -> bool:
    """Whether what follows the layer counts the rows of the input, as h.view(len(x), -1) does: with twice the rows from
    the layer on it fails, or yields others."""

    def doubled(leaf: Tensor, dim: int) -> Tensor:
        return torch.cat([leaf, leaf], dim)

    def doubled_rows(output: Any) -> Any:
        return map_nest(
            lambda _, leaf: doubled(leaf, probe.dim) if mixable(leaf, (probe.rows,), probe.dim) else leaf, output
        )

    inputs, named = probe.side.map(
        probe.network.inputs,
        probe.network.named,
        lambda path, leaf, dim: leaf if routes.get(path) == "before" else doubled(leaf, dim),
    )
    try:
        run = probe.network.run(inputs, named, hold=dict.fromkeys(cut.modules, doubled_rows))
    except Exception:
        return True
    after, before = dict(leaves(run.output)), dict(leaves(probe.base.output))
    return any(
        after[path].shape[dim] != 2 * before[path].shape[dim]
        for path in through
        for dim in probe.row_dims(before[path])[:1]
    )


def _feeds(probe: Probe, cut: Cut, held: Mapping[str, Any]) -> bool:
    """Whether a module of the layer changes when another one's output does."""
    if len(cut.modules) == 1:
        return False
    for name in cut.modules:
        others = [other for other in cut.modules if other != name]
        run = probe.network.run(watch=others, hold=probe.holding({name: probe.moved(held[name])}))
        for other in others:
            pairs = zip(leaves(held[other]), leaves(run.seen[other].output), strict=True)
            if any(different(a, b) for (_, a), (_, b) in pairs):
                return True
    return False


def _leak(probe: Probe, cut: Cut, path: str, suggest: bool) -> str:
    fault = (
        f"layer '{cut.name}' is no cut, since a path runs around it (a residual branch, a skip, a second head): with"
        f" the layer's output held, the input still reaches output{path}"
    )
    if not suggest:
        return fault
    names = ", ".join(f"'{name}'" for name in probe.sound_modules(5))
    single = f"single modules that are cuts: {names}" if names else "no single module is a cut"
    return f"{fault}; {single}; several together may be one ('a+b')"
