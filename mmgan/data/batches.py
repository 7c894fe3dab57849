"""Batches of a data set by step: from memory, or through torch's DataLoader where it is too large for that."""

import multiprocessing
from collections.abc import Iterator
from itertools import count

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mmgan.data.augment import Augmentation
from mmgan.data.images import Images
from mmgan.data.order import Order
from mmgan.draws import torch_stream
from mmgan.transfer import to_device

MEMORY_LIMIT = 4 * 2**30  # bytes of pixels held on the device; larger data sets are streamed


class Batches:
    """Batches of `images`, held as uint8 on `device` and augmented there; `make_batches` makes them.

    Args:
        images: the images that `order` counts.
        order: which images make up which step, and this process's slice of them.
        augmentation: what is done to them.
        device: where the pixels are held and the batches made.
    """

    def __init__(
        self, images: Images, order: Order, augmentation: Augmentation, device: torch.device | str = "cpu"
    ) -> None:
        self.order = order
        self.augmentation = augmentation
        self.device = torch.device(device)
        self.labels = None if images.labels is None else images.labels.to(self.device)
        self.pixels = self._hold(images.pixels)

    def batch(self, step: int) -> tuple[Float[Tensor, "b c h w"], Int64[Tensor, " b"] | None]:
        """This rank's slice at `step`: images in [-1, 1], and labels if there are any. Pure: no state, any order."""
        index = self.order.indices(step)
        images = self.augmentation(
            self._rows(step, index),
            seed=self.order.seed,
            purpose=self.order.purpose,
            step=step,
            batch_size=self.order.batch_size,
            rows=self.order.slice,
        )
        return images, None if self.labels is None else self.labels[to_device(index, self.device)]

    @property
    def steps_per_epoch(self) -> int:
        """Steps that visit every image at least once: images / batch size, rounded up."""
        return -(-self.order.count // self.order.batch_size)

    def epoch_of(self, step: int) -> int:
        """The epoch, from 0, of the first image of the global batch at `step`."""
        return step * self.order.batch_size // self.order.count

    def _hold(self, pixels: UInt8[Tensor, "n c h w"]) -> UInt8[Tensor, "n c h w"]:
        return pixels.to(self.device)

    def _rows(self, step: int, index: Int64[Tensor, " b"]) -> UInt8[Tensor, "b c h w"]:
        return self.pixels.index_select(0, to_device(index, self.device))


class LoaderBatches(Batches):
    """The same batches, bit for bit, from pixels that stay where they are (in a mapped file).

    Worker processes of a DataLoader read ahead of the last step. Ask for steps in turn: any other step restarts the
    workers there.
    """

    WORKERS = 2

    def _hold(self, pixels: UInt8[Tensor, "n c h w"]) -> UInt8[Tensor, "n c h w"]:
        self._next_step = -1
        return pixels

    def _rows(self, step: int, index: Int64[Tensor, " b"]) -> UInt8[Tensor, "b c h w"]:
        if step != self._next_step:
            self._reader = self._read_from(step)
        self._next_step = step + 1
        return next(self._reader).to(self.device, non_blocking=True)

    def _read_from(self, step: int) -> Iterator[Tensor]:
        methods = multiprocessing.get_all_start_methods()
        loader = DataLoader(
            _Rows(self.pixels),
            batch_size=None,  # the sampler hands over whole batches
            sampler=map(self.order.indices, count(step)),
            num_workers=self.WORKERS,
            prefetch_factor=4,
            pin_memory=self.device.type == "cuda",
            # A forked worker shares the mapped file; any other kind would be sent a copy of all pixels.
            multiprocessing_context="fork" if "fork" in methods else None,
            # Without one, every start of the workers would draw from torch's global generator.
            generator=torch_stream(self.order.seed, f"{self.order.purpose}/workers"),
        )
        return iter(loader)


class _Rows(Dataset[Tensor]):
    def __init__(self, pixels: UInt8[Tensor, "n c h w"]) -> None:
        self.pixels = pixels

    def __getitem__(self, index: Int64[Tensor, " b"]) -> UInt8[Tensor, "b c h w"]:
        return self.pixels.index_select(0, index)


def make_batches(
    images: Images,
    batch_size: int,
    *,
    seed: int,
    rank: int = 0,
    world_size: int = 1,
    device: torch.device | str = "cpu",
    flip: bool = False,
    crop_padding: int = 0,
    dequantize: bool = False,
    purpose: str = "order",
    memory_limit: int = MEMORY_LIMIT,
) -> Batches:
    """Batches of `images` by step; `LoaderBatches` where the pixels take more than `memory_limit` bytes.

    `batch_size` counts the images of all processes together; rank r of `world_size` gets the r-th contiguous slice.
    The slices joined are bitwise the batch of one process (on the same kind of device), augmentation included.

    Args:
        images: at least one.
        batch_size: over all processes; a multiple of `world_size`.
        seed, purpose: name the streams; trainers that read one data set twice a step use two purposes.
        rank, world_size: this process and the number of processes.
        device: where the pixels are held and the batches made.
        flip: mirror each image left and right with probability 1/2.
        crop_padding: pad each image with this many black pixels on each side, then cut it out at its own size.
        dequantize: spread each grey level evenly over its interval (see `augment.dequantized`).
        memory_limit: in bytes.

    Raises:
        UserError: no images, or sizes that do not fit.
    """
    order = Order(len(images), batch_size, seed=seed, rank=rank, world_size=world_size, purpose=purpose)
    kind = Batches if images.pixels.nbytes <= memory_limit else LoaderBatches
    return kind(images, order, Augmentation(flip, crop_padding, dequantize), device)
