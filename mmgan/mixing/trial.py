"""Runs of a network on clones of its state: nothing of the network or of its autograd graph is touched.

Every run starts from the same state and the same random numbers, so that two runs of the same input agree to the bit,
dropout and data-dependent initialisation included.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from mmgan.mixing.plan import PIXEL
from mmgan.mixing.taps import change_first
from mmgan.nests import map_nest

JITTER = 0.1
"""Deviation of what all-zero parameters become: a gate or a skip at its zero initialisation hides a path."""

REGISTRIES = {"_parameters", "_buffers", "_modules"}
"""Attributes of a module that `functional_call` itself puts back."""


@dataclass
class Seen:
    """What a module yielded in one run.

    Attributes:
        output: of its last time, tensors cloned; what flows on may be changed in place.
        times: how often it ran.
        recomputed: whether it ran inside a segment of gradient checkpointing, which runs it again in the backward.
    """

    output: Any = None
    times: int = 0
    recomputed: bool = False


@dataclass
class Observed:
    """One run: the network's output, what each watched module yielded, and what `then` found."""

    output: Any
    seen: dict[str, Seen] = field(default_factory=dict)
    found: Any = None


class Trial:
    """A network under trial, inside `trial(...)`.

    Args:
        model: the network; its parameters and buffers are cloned.
        inputs, named: the arguments of a call; they are left as they are.
        pick: the network's output -> what is looked at.
    """

    def __init__(
        self, model: nn.Module, inputs: Sequence[Any], named: Mapping[str, Any], pick: Callable[[Any], Any]
    ) -> None:
        self.model, self.pick = model, pick
        self.modules = {name: module for name, module in model.named_modules() if name}
        self.inputs, self.named = tuple(inputs), dict(named)
        generator = torch.Generator().manual_seed(0)
        self.state = {name: _jittered(p, generator) for name, p in model.named_parameters()}
        self.state |= {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
        self.run(keep_state=True)  # a first forward may initialise the network by its data

    def run(
        self,
        inputs: Sequence[Any] | None = None,
        named: Mapping[str, Any] | None = None,
        watch: Sequence[str] = (),
        hold: Mapping[str, Callable[[Any], Any]] | None = None,
        on_output: Callable[[str], None] | None = None,
        then: Callable[[Any], Any] | None = None,
        keep_state: bool = False,
    ) -> Observed:
        """One forward.

        Args:
            inputs, named: other arguments than the trial's.
            watch: modules whose outputs are wanted, or "pixel".
            hold: module -> its output -> what flows on instead.
            on_output: called with the name of each watched module when it has run.
            then: called with the output while the clones are in place, as a backward needs them that recomputes.
            keep_state: later runs start from the state that this one leaves.
        """
        hold = hold or {}
        inputs, named = self.inputs if inputs is None else inputs, self.named if named is None else named
        result = Observed(None, {name: Seen() for name in watch})
        forward_ended = False

        def pass_on(name: str, output: Any) -> Any:
            if name in result.seen and not forward_ended:
                seen = result.seen[name]
                seen.output, seen.times = map_nest(lambda _, leaf: leaf.clone(), output), seen.times + 1
                seen.recomputed |= _inside_checkpoint()
                if on_output is not None:
                    on_output(name)
            return hold[name](output) if name in hold else output

        names = {*watch, *hold}
        if PIXEL in names:
            inputs, named = change_first(inputs, named, lambda x: pass_on(PIXEL, x))
        hooks = [
            self.modules[name].register_forward_hook(lambda _, __, output, name=name: pass_on(name, output))
            for name in names - {PIXEL}
        ]
        state = {name: tensor.clone() for name, tensor in self.state.items()}

        def forward(*inputs: Any, **named: Any) -> None:
            nonlocal forward_ended
            output = self.pick(self.model(*inputs, **named))
            forward_ended = True
            result.found = None if then is None else then(output)
            result.output = map_nest(lambda _, leaf: leaf.detach().clone(), output)

        try:
            with _same_random_numbers(state.values()):
                functional_call(
                    _Calling(self.model, forward),
                    {f"model.{name}": tensor for name, tensor in state.items()},
                    tuple(inputs),
                    dict(named),
                )
        finally:
            for hook in hooks:
                hook.remove()
        if keep_state:
            self.state = {name: tensor.detach() for name, tensor in state.items()}
        return result


class _Calling(nn.Module):
    """A module around the model, so that what follows its forward still sees the clones."""

    def __init__(self, model: nn.Module, call: Callable[..., None]) -> None:
        super().__init__()
        self.model, self.call = model, call

    def forward(self, *inputs: Any, **named: Any) -> None:
        self.call(*inputs, **named)


@contextmanager
def trial(
    model: nn.Module, inputs: Sequence[Any], named: Mapping[str, Any], pick: Callable[[Any], Any]
) -> Iterator[Trial]:
    """A trial of the network; attributes that its forwards change are put back at the end."""
    before = [(module, _attributes(module)) for module in model.modules()]
    cache, fast_path = torch.is_autocast_cache_enabled(), torch.backends.mha.get_fastpath_enabled()
    torch.set_autocast_cache_enabled(False)  # it would keep casts of the clones
    # Attention's path for inference rounds otherwise, and is taken or not by hooks and gradients, which differ by run.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.inference_mode(False), torch.enable_grad(), _eagerly():
            _use_clones(before)
            yield Trial(model, inputs, named, pick)
    finally:
        torch.set_autocast_cache_enabled(cache)
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for module, attributes in before:
            _put_back(module, attributes)


def _eagerly() -> AbstractContextManager[None]:
    """Parts of the network that are compiled run as they are. Importing the compiler takes a second: where nobody did
    so, nothing is compiled."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


@contextmanager
def batch_norms_apart(model: nn.Module) -> Iterator[None]:
    """Every BatchNorm normalises by fixed statistics, as in evaluation mode."""

    def fixed(norm: _BatchNorm) -> Callable[[Tensor], Tensor]:
        def forward(x: Tensor) -> Tensor:
            zeros = torch.zeros(x.shape[1], dtype=x.dtype, device=x.device)
            return nn.functional.batch_norm(x, zeros, zeros + 1, norm.weight, norm.bias, False, 0.0, norm.eps)

        return forward

    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.__dict__["forward"] = fixed(norm)
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _jittered(parameter: Tensor, generator: torch.Generator) -> Tensor:
    clone = parameter.detach().clone()
    if clone.is_floating_point() and clone.numel() and not clone.any():
        clone += JITTER * torch.empty(clone.shape).normal_(generator=generator).to(clone)
    return clone


@contextmanager
def _same_random_numbers(tensors: Any) -> Iterator[None]:
    devices = sorted({tensor.device.index for tensor in tensors if tensor.device.type == "cuda"})
    with torch.random.fork_rng(devices):
        torch.manual_seed(0)
        yield


def _inside_checkpoint() -> bool:
    """Whether the caller runs inside torch.utils.checkpoint."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == "torch.utils.checkpoint":
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _attributes(module: nn.Module) -> dict[str, tuple[Any, Any]]:
    """name -> (value, copy of a container's content)."""
    return {
        name: (value, value.copy() if isinstance(value, (list, dict, set)) else None)
        for name, value in module.__dict__.items()
        if name not in REGISTRIES
    }


def _use_clones(modules: Sequence[tuple[nn.Module, Mapping[str, tuple[Any, Any]]]]) -> None:
    """Tensors that are neither parameters nor buffers are cloned too: a forward may work on them in place."""
    clones: dict[int, Tensor] = {}
    for module, attributes in modules:
        for name, (value, _) in attributes.items():
            if isinstance(value, Tensor):
                if id(value) not in clones:
                    clones[id(value)] = value.detach().clone()
                module.__dict__[name] = clones[id(value)]


def _put_back(module: nn.Module, attributes: Mapping[str, tuple[Any, Any]]) -> None:
    for name in [name for name in module.__dict__ if name not in attributes and name not in REGISTRIES]:
        del module.__dict__[name]
    for name, (value, content) in attributes.items():
        module.__dict__[name] = value
        if isinstance(value, list):
            value[:] = content
        elif isinstance(value, (dict, set)):
            value.clear()
            value.update(content)
