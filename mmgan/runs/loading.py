"""Reading checkpoints from any source: nothing in them is executed, nothing outside them is read."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from mmgan.digests import file_digest
from mmgan.errors import UserError
from mmgan.runs.belongings import MANIFEST, STATE


def find_fault(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, or None."""
    try:
        digests = json.loads((checkpoint / MANIFEST).read_bytes())
        for name, digest in digests.items():
            if Path(name).name != name or name in ("", ".."):
                return f"its {MANIFEST} names '{name}', which is no file of a checkpoint"
            if not (checkpoint / name).is_file() or (checkpoint / name).is_symlink():
                return f"{name} is missing"
            if file_digest(checkpoint / name) != digest:
                return f"{name} does not have the content it was saved with"
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        return f"its {MANIFEST} cannot be read ({' '.join(str(error).split())})"
    if STATE not in digests:
        return f"its {MANIFEST} does not name {STATE}"
    return None


def read_facts(checkpoint: Path) -> dict[str, Any]:
    """The plain values that were saved with a checkpoint.

    Raises:
        UserError: if they are not a checkpoint's.
    """
    path = checkpoint / STATE
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(facts, dict) or not isinstance(facts.get("step"), int):
        raise UserError(f"{path} holds no step: it is not the state of a checkpoint")
    return facts


def load_network(checkpoint: Path, stem: str, network: nn.Module) -> None:
    """Load weights into a network of the same architecture.

    Raises:
        UserError: if the file is missing or no safetensors file, or its names or shapes are not the network's; the
            first difference is named.
    """
    path = checkpoint / f"{stem}.safetensors"
    if not path.is_file():
        raise UserError(f"{path} is missing: the checkpoint is of another kind of run, or incomplete")
    try:
        tensors = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is not a safetensors file: {' '.join(str(error).split())}") from None
    difference = _difference(tensors, network.state_dict())
    if difference:
        raise UserError(
            f"{path} is of another architecture: {difference}; use the settings that the run was started with"
        )
    network.load_state_dict(tensors)


def load_optimizer(checkpoint: Path, stem: str, optimizer: torch.optim.Optimizer) -> None:
    """Load an optimizer's state, but not its settings, with weights_only=True: nothing in the file is executed.

    Raises:
        UserError: if the file is missing, holds anything but tensors and plain values, or is of another optimizer.
    """
    path = checkpoint / f"{stem}.pt"
    if not path.is_file():
        raise UserError(f"{path} is missing: the checkpoint holds nothing to go on training from")
    try:
        # From memory: the unpickler asks for as many bytes as the content claims, which a file would allocate first.
        state = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception:  # torch and pickle raise all sorts on foreign files
        raise UserError(
            f"{path} is not the state of an optimizer, and was not read further: it is damaged, or holds code"
        ) from None
    # The learning rate stays as saved: training sets it before each step.
    apart = ("params", "lr")
    settings = [{name: value for name, value in group.items() if name not in apart} for group in optimizer.param_groups]
    try:
        optimizer.load_state_dict(state)
    except Exception as error:  # as above
        raise UserError(f"{path} is of another optimizer: {' '.join(str(error).split())}") from None
    # The file has the settings of its own time. Those of the run are the optimizer's.
    for group, own in zip(optimizer.param_groups, settings, strict=True):
        group.update(own)
        for parameter in group["params"] if "momentum" in own else []:
            _fit_momentum(optimizer.state[parameter], parameter, own["momentum"])


def _fit_momentum(state: dict[str, Any], parameter: Tensor, momentum: float) -> None:
    """SGD that was saved without momentum and goes on with it starts from zeros; and the other way round from none."""
    if not momentum:
        state.pop("momentum_buffer", None)
    elif state.get("momentum_buffer") is None:
        state["momentum_buffer"] = torch.zeros_like(parameter)


def _difference(saved: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    for name in sorted(saved.keys() ^ wanted.keys()):
        return f"'{name}' is {'only in the file' if name in saved else 'not in the file'}"
    for name, tensor in wanted.items():
        if saved[name].shape != tensor.shape:
            return f"'{name}' has shape {tuple(saved[name].shape)}, not {tuple(tensor.shape)}"
    return None
