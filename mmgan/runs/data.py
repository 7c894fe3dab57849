"""The images of a run, their batches, and the network that mixes their rows."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from mmgan.config.shared import DataSettings, DeviceSettings
from mmgan.data import Batches, Images, load_images, make_batches
from mmgan.errors import UserError
from mmgan.mixing import Mixed
from mmgan.mixing.verdict import Mode
from mmgan.process.accelerator import main_process_first, memory_format


def load_split(data: DataSettings, split: str, accelerator: Accelerator) -> Images:
    """Load one split; each machine's main process reads first, so that one download or cache serves all.

    Raises:
        UserError: for data that is absent, damaged or not available in this form.
    """
    with main_process_first(accelerator):
        return read_split(data, split)


def read_split(data: DataSettings, split: str) -> Images:
    """Load one split in this process alone, with the errors of `load_split`."""
    return load_images(
        data.data,
        data.data_root,
        split=split,
        image_size=data.image_size,
        channels=data.channels,
        download=data.download,
        skip_bad_images=data.skip_bad_images,
    )


def image_shape(images: Images) -> dict[str, int]:
    """The number of channels, and the height and width in pixels, as {"channels": c, "image_size": s}.

    Raises:
        UserError: for images that are not square.
    """
    _, channels, height, width = images.pixels.shape
    if height != width:
        raise UserError(f"the images of {images.name} are {width}x{height}: choose a square with --image-size")
    return {"channels": channels, "image_size": height}


def shared_batches(
    images: Images, batch_size: int, seed: int, accelerator: Accelerator, **augmentation: Any
) -> Batches:
    """The part of each batch that this process trains on, on its device.

    Args:
        images: of the training split.
        batch_size: over all processes together.
        seed: of the order and the augmentation.
        accelerator: the run's.
        augmentation: flip, crop_padding and dequantize, as for `make_batches`.
    """
    rank, world_size = accelerator.process_index, accelerator.num_processes
    return make_batches(
        images, batch_size, seed=seed, rank=rank, world_size=world_size, device=accelerator.device, **augmentation
    )


def mixed_network(
    network: nn.Module,
    layers: tuple[str, ...],
    mode: Mode,
    images: Images,
    rows: int,
    device: DeviceSettings,
    accelerator: Accelerator,
    *,
    detach: bool = False,
    pick: Callable[[Any], Any] | None = None,
    passes: Literal["joint", "separate"] = "joint",
    labels: bool = False,
) -> Mixed:
    """Wrap a network to mix its rows, on the run's device, and look at it before compilation and DDP hide it.

    Args:
        network: takes images like these.
        layers: to mix at.
        mode: in which the training mixes.
        images: of the training split.
        rows: of one forward.
        device: the layout of the weights.
        accelerator: the run's.
        detach: stop the gradient before the mixed layer.
        pick, passes: as `Mixed` takes them.
        labels: whether the network is also given the classes of its rows.

    Raises:
        UserError: if a layer does not exist, or rows cannot be mixed there in this mode.
    """
    layout = memory_format(device)
    mixed = Mixed(network, layers, detach=detach, pick=pick, passes=passes)
    mixed.to(accelerator.device, memory_format=layout)  # type: ignore[call-overload]
    x, *y = example_rows(images, rows, accelerator.device, labels=labels)
    for verdict in mixed.train().check(x.to(memory_format=layout), *y).values():
        verdict.require(mode, separate=passes == "separate")
    return mixed


def example_rows(images: Images, rows: int, device: torch.device, *, labels: bool) -> tuple[Tensor, ...]:
    """Arguments of a network for such images: (rows, c, h, w) in black and white's middle, and with labels (rows,)."""
    x = torch.zeros(rows, *images.pixels.shape[1:], device=device)
    return (x, torch.zeros(rows, dtype=torch.int64, device=device)) if labels else (x,)
