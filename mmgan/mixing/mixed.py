"""`Mixed`: a network whose hidden states can be mixed."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mmgan.errors import UserError
from mmgan.mixing.names import find_layer, parse_layers, stage_names
from mmgan.mixing.plan import NO_LAYER, PIXEL, MixPlan
from mmgan.mixing.taps import Action, Call, Tap, separate_passes, training_batch_norms


class Mixed(nn.Module):
    """A network whose hidden states can be mixed at chosen layers (Section 2; Equations 1 and 6).

        net(x)                      plain forward
        net(x, plan)                rows plan.left of the layer's output become plan.mix(output)
        net(x, plan, append=True)   plan.mix(output) is appended: N rows in, N + M rows out

    The network is not edited, only tapped by permanent hooks, so that `torch.compile` sees them; wrap first and compile
    the wrapper. Under DDP the wrapper is what is prepared. Keys of the state dict are the network's own.

    Args:
        model: any module whose forward takes one tensor with the batch in its first dimension.
        layers: names, as a string ("1,2,pixel") or a sequence: "pixel" for the input, a key of the model's own `stages`
            mapping, or the dotted name of a submodule. "none" or nothing: the baseline.
        detach: stop the gradient before the mixed layer (the ablation of Section 5.1).
        passes: "joint" runs all rows in one forward. "separate" serves networks whose rows see each other (BatchNorm in
            training mode): with append=True the two halves of x run alone and the mixed rows in a third pass.

    Attributes:
        model: the wrapped network.
        layers: the resolved names, dotted submodules or "pixel", in the given order.

    Raises:
        UserError: for a name that the model does not have; the nearest names are listed.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: str | Sequence[str],
        *,
        detach: bool = False,
        passes: Literal["joint", "separate"] = "joint",
    ) -> None:
        super().__init__()
        if passes not in ("joint", "separate"):
            raise UserError(f"passes '{passes}' is unknown: choose joint or separate")
        self.model = model
        self.detach = detach
        self.passes = passes
        names = parse_layers(layers)
        stages = stage_names(model)
        self._resolved = {name: find_layer(model, name) for name in names}
        self.layers = tuple(dict.fromkeys(self._resolved.values()))
        if len(self.layers) < len(names):
            raise UserError(f"the layers '{','.join(names)}' name one module twice: {', '.join(self.layers)}")
        for name in self.layers:
            if stages.get(name, name) != name:
                raise UserError(
                    f"'{name}' is a submodule and also the network's name for the stage '{stages[name]}', so a plan for"
                    f" '{name}' could mean either: rename the stage"
                )
        self._resolved |= {alias: name for alias, name in stages.items() if name in self.layers}
        self._resolved |= {name: name for name in self.layers}
        self._call = Call()
        for name in self.layers:
            if name != PIXEL:
                model.get_submodule(name).register_forward_hook(Tap(self._call, name))
        self.register_state_dict_post_hook(_drop_prefix)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_add_prefix)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor, *plans: MixPlan, append: bool = False) -> Any:
        """Run the network, mixed by the plans.

        Args:
            x: (N, ...).
            plans: none for a plain forward; one; or, when replacing, one for each of several layers.
            append: append the mixed rows instead of replacing rows plan.left.

        Returns:
            What the network returns; with append=True for N + M rows, the mixed ones last.

        Raises:
            UserError: if a plan's layer is not one of `layers`, did not run exactly once, does not yield the batch
                first, or if append=True meets BatchNorm in training mode and passes="joint".
            TypeError: if the layer yields integers.
        """
        pending = {self._layer_of(plan): plan for plan in plans if plan.layer != NO_LAYER}
        if not pending:
            return self.model(x)
        if len(pending) < len(plans):
            raise UserError("each plan needs a layer of its own: two plans were given for one, or one for 'none'")
        if not append:
            return self._call.run(self.model, x, {name: self._replace(plan) for name, plan in pending.items()})
        if len(plans) > 1:
            raise UserError("append=True takes one plan, not several: the order of the appended rows would be unclear")
        ((name, plan),) = pending.items()
        if self.passes == "separate":
            return separate_passes(self.model, self._call, x, name, plan, self.detach)
        self._refuse_batch_norm()
        return self._call.run(self.model, x, {name: self._append(plan)})

    def _replace(self, plan: MixPlan) -> Action:
        if self.detach:  # only the rows of this plan: those that other plans mix elsewhere keep their gradient
            return lambda h: h.index_copy(0, plan.left, plan.mix(h.detach()))  # (N, ...)
        return plan.replace

    def _append(self, plan: MixPlan) -> Action:
        return lambda h: torch.cat([h, plan.mix(h.detach() if self.detach else h)])  # (N + M, ...)

    def _layer_of(self, plan: MixPlan) -> str:
        if plan.layer not in self._resolved:
            raise UserError(
                f"the plan mixes at '{plan.layer}', but this network was wrapped for {_listed(self.layers)}"
            )
        return self._resolved[plan.layer]

    def _refuse_batch_norm(self) -> None:
        for name, _ in training_batch_norms(self.model):
            raise UserError(
                f"append=True would let rows see each other in '{name}', a BatchNorm in training mode:"
                " use Mixed(..., passes='separate'), or a network without BatchNorm"
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "no layers at all"


def _drop_prefix(module: nn.Module, state: dict[str, Any], prefix: str, metadata: dict[str, Any]) -> None:
    _rename(state, prefix + "model.", prefix)


def _add_prefix(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    _rename(state, prefix, prefix + "model.")


def _rename(state: dict[str, Any], old: str, new: str) -> None:
    """Let all keys that start with `old` start with `new`, at once: the network may itself hold a child "model"."""
    moved = {new + key[len(old) :]: state.pop(key) for key in [key for key in state if key.startswith(old)]}
    state.update(moved)
