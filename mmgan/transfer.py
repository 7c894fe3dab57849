"""Values that the host has drawn, on their way to the device of a step."""

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device | str | None) -> Tensor:
    """The values on `device`; None: where they are. The host does not wait.

    A copy to a GPU waits for all work that the GPU was given before, unless it comes from pinned memory and is told
    not to block. Torch keeps pinned blocks for the next step, so that pinning costs a look into a list.
    """
    if device is None:
        return values
    if torch.device(device).type == "cuda" and values.device.type == "cpu":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
