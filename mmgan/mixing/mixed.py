"""`Mixed`: a network whose hidden states can be mixed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmgan.errors import UserError
from mmgan.mixing.inspection import Inspection, inspect_network
from mmgan.mixing.names import Cut, Layers, find_cuts
from mmgan.mixing.passes import Passes
from mmgan.mixing.plan import NO_LAYER, PIXEL, MixPlan
from mmgan.mixing.rows import Kind, SideInputs, argument_names
from mmgan.mixing.soundness import look_at
from mmgan.mixing.taps import Call, Tap, first_input
from mmgan.mixing.verdict import Mode, Verdict
from mmgan.nests import structure


class Mixed(nn.Module):
    """A network whose hidden states can be mixed at chosen layers (Section 2; Equations 1 and 6).

        net(x)                              plain forward
        net(x, plan=plan)                   mode "replace": rows plan.left become the mixed rows, N -> N
        net(x, plan=plan, mode="append")    the mixed rows are appended, N -> N + M
        net(x, plan=plan, mode="alone")     the mixed rows alone, N -> M
        net(x, y, plan=plan, mask=mask)     all other arguments go to the network as they are

    The network is not edited, only tapped by permanent hooks, so that `torch.compile` sees them; wrap first and compile
    the wrapper. Under DDP, prepare the wrapper. Parameters, buffers and submodules, and so the keys of the
    state dict, have the network's own names.

    Before a layer is first mixed, `Mixed` looks at the network: rows must not see each other where that would be
    silently wrong, and no path may run around the layer. The look costs a few forwards, once; `check` does it ahead of
    `torch.compile` and DDP, which need it.

    Args:
        model: any module. Its first input holds the batch.
        layers: names with commas between ("1,2,pixel"), or a sequence, or a mapping. A name is "pixel" for the input, a
            key of the model's own `stages` mapping, or the dotted name of a submodule. A layer is a *cut*: all that
            follows depends on it alone. Several modules may form one: "block2+embed", or
            {"mid": ["down3", "skip1"]}. "none" or nothing: the baseline.
        detach: stop the gradient before the mixed layer (the ablation of Section 5.1).
        passes: "joint" runs all rows in one forward. "separate" serves networks whose rows see each other (BatchNorm in
            training mode, minibatch statistics): in mode "append" the parts of the batch (real, fake) run alone and
            the mixed rows in a pass of their own.
        pick: the network's output -> what `net` returns: logits out of (logits, features).
        inputs: side input -> "row" if it holds a row for each row of the batch, "shared" if it belongs to all. Without
            it a tensor with the batch's number of rows counts as "row", which the look verifies.
        batch_dim: where the rows lie in the input and the layers: 0, or 1 for sequence-first networks.
        check: look at the network before a layer is first mixed. False for those who know.

    Side inputs per row: floating point is mixed like the layer. Integers (classes) must be equal in both rows of a pair
    (`policy.draw(..., within=classes)`), or the module that embeds them must be part of the layer.

    Attributes:
        model: the wrapped network.
        layers: the resolved names, dotted submodules, "pixel" or cuts, in the given order.

    Raises:
        UserError: for a name that the model does not have; the nearest names are listed.
    """

    model: nn.Module
    layers: tuple[str, ...]
    detach: bool
    passes: Literal["joint", "separate"]
    batch_dim: int

    def __init__(
        self,
        model: nn.Module,
        layers: Layers,
        *,
        detach: bool = False,
        passes: Literal["joint", "separate"] = "joint",
        pick: Callable[[Any], Any] | None = None,
        inputs: Mapping[str, Kind] | None = None,
        batch_dim: int = 0,
        check: bool = True,
    ) -> None:
        super().__init__()
        kinds = dict(inputs or {})
        if passes not in ("joint", "separate"):
            raise UserError(f"passes '{passes}' is unknown: choose joint or separate")
        if wrong := [f"{name}: {kind}" for name, kind in kinds.items() if kind not in get_args(Kind)]:
            raise UserError(f"inputs= says '{wrong[0]}': choose row or shared")
        if batch_dim not in (0, 1):
            raise UserError(f"batch_dim {batch_dim} is not supported: rows lie at dimension 0 or 1")
        # The wrapper takes over the network's own registries, so that every name is the network's. Its own attributes
        # go past torch's bookkeeping: the network may have a child called "layers" or "model".
        self._parameters, self._buffers, self._modules = model._parameters, model._buffers, model._modules
        self.training = model.training
        self.__dict__ |= {"model": model, "detach": detach, "passes": passes, "batch_dim": batch_dim}
        self._pick, self._kinds, self._checks = pick, kinds, check
        self._names = argument_names(model)
        self._cuts = find_cuts(model, layers)
        self._distinct = tuple(dict.fromkeys(self._cuts.values()))
        self.__dict__["layers"] = tuple(cut.name for cut in self._distinct)
        self._verdicts: dict[Any, dict[str, Verdict]] = {}
        self._latest: dict[Any, dict[str, Verdict]] = {}
        self._call = Call()
        for name in dict.fromkeys(name for cut in self._distinct for name in cut.modules):
            if name != PIXEL:
                model.get_submodule(name).register_forward_hook(Tap(self._call, name))

    def forward(
        self, *inputs: Any, plan: MixPlan | tuple[MixPlan, ...] | None = None, mode: Mode = "replace", **named: Any
    ) -> Any:
        """Run the network, mixed by the plan.

        Args:
            inputs, named: go to the network as they are; the first one holds the batch, (N, ...).
            plan: None for a plain forward; one plan; in mode "replace" also a tuple of plans, one a layer.
            mode: "replace", "append" or "alone".

        Returns:
            What the network returns (or `pick` of it): tensors with N, N + M or M rows, the mixed ones last. In mode
            "append" the tensors that come from before the layer keep N rows.

        Raises:
            UserError: if the plan does not fit the network or the batch, or if the layer is not sound in this mode.
        """
        plans = self._plans(inputs, plan)
        if not plans:
            return self.picked(self.model(*inputs, **named))
        if mode not in get_args(Mode):
            raise UserError(f"mode '{mode}' is unknown: choose {', '.join(get_args(Mode))}")
        if len(plans) > 1 and mode != "replace":
            raise UserError(f"mode='{mode}' takes one plan, not several: the order of the mixed rows would be unclear")
        pending = {self._cut_of(one): one for one in plans if one.layer != NO_LAYER}
        if len(pending) < len(plans) and len(plans) > 1:
            raise UserError("each plan needs a layer of its own: two plans were given for one, or one for 'none'")
        self._check_rows(plans, inputs, named)
        if not pending:
            if mode == "alone":
                raise UserError("the plan mixes nothing (layer 'none'), so mode='alone' has no rows: skip this call")
            if self.passes == "separate" and mode == "append":  # the baseline must differ in the mixed rows alone
                return Passes(self, self._call, self._side(inputs, named), inputs, named).parts(plans[0])
            return self.picked(self.model(*inputs, **named))
        side = self._side(inputs, named)
        verdicts = self._verdicts_for(inputs, named, side) if self._checks else {}
        separate = self.passes == "separate" and mode == "append"
        for cut, one in pending.items():
            verdict = verdicts.get(cut.name, Verdict())
            verdict.require(mode, separate=separate)
            if verdict.pack != one.pack and self._checks:
                raise UserError(
                    f"the network joins {verdict.pack} rows to one, but the plan is for packs of {one.pack}: draw it"
                    f" with pack={verdict.pack}"
                )
        passes = Passes(self, self._call, side, inputs, named)
        known = {cut: (one, verdicts.get(cut.name)) for cut, one in pending.items()}
        if len(known) > 1:
            return passes.replace_at_several(known)
        ((cut, (one, found)),) = known.items()
        return passes.separate(cut, one, found) if separate else passes.joint(cut, one, found, mode)

    def check(self, *inputs: Any, **named: Any) -> dict[str, Verdict]:
        """Look at all layers and modes at once, with an example of the arguments that calls will have.

        The verdict holds for calls of the same structure, with any number of rows, in the present training mode.

        Args:
            inputs, named: as for a call; use as many rows as a step has, since some networks group their rows.

        Returns:
            The verdict on each layer, by its name: `.require(mode)` raises what a call would raise.

        Raises:
            UserError: for a layer that is not sound in any mode.
        """
        side = self._side(inputs, named)
        found = self._verdicts_for(inputs, named, side) if self._distinct else {}
        for verdict in found.values():
            if set(verdict.faults) == set(get_args(Mode)):
                verdict.require("replace")
        return found

    def inspect(self, *inputs: Any, **named: Any) -> Inspection:
        """Every module that could be a layer, in the order in which they run: a cut or why not, rows apart or not, and
        the share of the arithmetic before it.

        Args:
            inputs, named: as for a call.
        """
        return inspect_network(self.model, inputs, named, self._side(inputs, named), self.picked)

    def picked(self, output: Any) -> Any:
        """What `net` returns of the network's output."""
        return output if self._pick is None else self._pick(output)

    def kind_of(self, name: str, path: str) -> Kind | None:
        """What `inputs=` says of a side input, or of the tensor at a path inside it."""
        return self._kinds.get(path, self._kinds.get(name))

    def train(self, mode: bool = True) -> "Mixed":
        """As the network's own `train`, which may keep parts of it in evaluation mode."""
        self.training = mode
        self.model.train(mode)
        return self

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The network's own."""
        return self.model.state_dict(*args, **kwargs)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.model._load_from_state_dict(*args, **kwargs)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Mixed":
        self.model._apply(fn, recurse)  # type: ignore[no-untyped-call]  # the network may do more than convert its parameters, as an LSTM does
        return self

    @property
    def _network(self) -> nn.Module:
        return self.model

    def _fqn_modifiers(self) -> dict[str, str]:
        """For `torch.distributed.checkpoint`: names are the network's, also where the wrapper has such an attribute."""
        return dict.fromkeys((*self._modules, *self._parameters, *self._buffers), "_network")

    def extra_repr(self) -> str:
        return f"layers={','.join(self.layers) or 'none'}"

    def _plans(self, inputs: Sequence[Any], plan: Any) -> tuple[MixPlan, ...]:
        if any(isinstance(value, MixPlan) for value in inputs):
            raise UserError("a plan goes by keyword: net(x, plan=plan), net(x, plan=plan, mode='append')")
        if getattr(self, "_is_replica", False):
            raise UserError(
                "nn.DataParallel cuts the batch that a plan is for: use DistributedDataParallel or `accelerate launch`"
            )
        if plan is None:
            return ()
        return (plan,) if isinstance(plan, MixPlan) else tuple(plan)

    def _cut_of(self, plan: MixPlan) -> Cut:
        if plan.layer not in self._cuts:
            known = ", ".join(f"'{name}'" for name in self.layers) or "no layers at all"
            raise UserError(f"the plan mixes at '{plan.layer}', but this network was wrapped for {known}")
        return self._cuts[plan.layer]

    def _check_rows(self, plans: Sequence[MixPlan], inputs: Sequence[Any], named: Mapping[str, Any]) -> None:
        rows = self._rows(inputs, named)
        for plan in plans:
            if plan.rows != rows:
                raise UserError(
                    f"the plan is for {plan.rows} rows, but the batch has {rows}: draw it for this batch"
                    + (" (of b real on b fake rows it is for 2b)" if len(plan.parts) == 2 else "")
                )

    def _rows(self, inputs: Sequence[Any], named: Mapping[str, Any]) -> int:
        x = first_input(inputs, named)
        if not isinstance(x, Tensor) or x.dim() <= self.batch_dim:
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise UserError(f"the first input must be a tensor with the batch at dimension {self.batch_dim}, not {got}")
        return x.shape[self.batch_dim]

    def _side(self, inputs: Sequence[Any], named: Mapping[str, Any]) -> SideInputs:
        return SideInputs(self._names, self._kinds, self._rows(inputs, named), self.batch_dim)

    def _verdicts_for(self, inputs: Sequence[Any], named: Mapping[str, Any], side: SideInputs) -> dict[str, Verdict]:
        """The verdicts that are there, or those of a look at the network now."""
        like = self.training, structure(inputs), structure(named)
        if torch.compiler.is_compiling():
            if like not in self._latest:
                raise UserError(
                    "a compiled call cannot look at the network before its first mix: call net.check(example) before"
                    " torch.compile, in the same training mode and with arguments of the same kinds"
                )
            return self._latest[like]
        flags = tuple(module.training for module in self.model.modules())
        key = flags, like
        if key not in self._verdicts:
            if DistributedDataParallel._active_ddp_module is not None or _is_sharded(self.model):
                raise UserError(
                    "a call under DDP or FSDP cannot look at the network before its first mix: call net.check(example)"
                    " before accelerator.prepare, in the same training mode"
                )
            self._verdicts[key] = look_at(self.model, self._distinct, inputs, named, side, self.picked)
        self._latest[like] = self._verdicts[key]
        return self._verdicts[key]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__


def _is_sharded(model: nn.Module) -> bool:
    """Whether FSDP holds the parameters, as shards that cannot be cloned here."""
    return any(type(p).__name__ in ("DTensor", "FlatParameter") for p in model.parameters())
