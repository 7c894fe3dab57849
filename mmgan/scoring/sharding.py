"""Features of many images, shared among processes, bitwise the same for any number of them.

Indices are cut into fixed chunks; chunk c is the work of rank c mod P; rank 0 puts the chunks back in order. As rows of
a chunk are computed together on one process whatever P is, only the order of arrival differs, and that is undone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from tqdm.auto import tqdm

from mmgan.errors import UserError
from mmgan.scoring.extractors import Extractor, Features
from mmgan.scoring.samples import Generate
from mmgan.tf32 import without_tf32

CHUNK = 64
"""Images a forward. Also torch-fidelity's batch size, with which features are bitwise its own on one machine."""


@dataclass(frozen=True)
class Processes:
    """This process and the number of processes that share the work; by default it works alone.

    Attributes:
        rank: 0 .. count - 1; rank 0 holds the results.
        count: P, the number of processes.
        gather: collective; takes this rank's item and returns the items of all ranks, in order.
    """

    rank: int = 0
    count: int = 1
    gather: Callable[[Any], list[Any]] = lambda item: [item]

    @classmethod
    def of(cls, accelerator: Accelerator) -> "Processes":
        """The processes of an Accelerator."""
        gather: Callable[[Any], list[Any]] = lambda item: list(gather_object([item]))  # noqa: E731
        return cls(accelerator.process_index, accelerator.num_processes, gather)


ALONE = Processes()


def extract(
    generate: Generate, count: int, extractor: Extractor, processes: Processes = ALONE, *, what: str = "scoring"
) -> Features | None:
    """Features of images 0 .. count - 1 of `generate`, on rank 0; None on the others. All ranks must call it.

    Args:
        generate: pure: the same arguments give the same images on every rank.
        count: number of images, at least 1.
        extractor: the same on every rank.
        processes: who shares the work.
        what: label of the progress bar.

    Raises:
        UserError: on every rank, if generating or extracting a chunk raised one on any rank
            (`NonFiniteSamples` among them), so that no rank is left waiting for another.
    """
    if count < 1:
        raise UserError(f"cannot score {count} images: ask for at least one")
    chunks = -(-count // CHUNK)
    leads = processes.rank == 0
    kept = Features(torch.empty(count, extractor.dims), torch.empty(count, extractor.num_classes)) if leads else None
    with tqdm(total=count, desc=what, unit="image", leave=False, disable=None if leads else True) as bar:
        for first_chunk in range(0, chunks, processes.count):
            part = _chunk(generate, first_chunk + processes.rank, count, extractor)
            parts = processes.gather(part)
            for c, item in enumerate(parts, first_chunk):
                if isinstance(item, UserError):
                    raise item
                if item is None or kept is None:
                    continue
                rows = slice(c * CHUNK, c * CHUNK + len(item[0]))
                kept.features[rows], kept.logits[rows] = torch.from_numpy(item[0]), torch.from_numpy(item[1])
                bar.update(len(item[0]))
    return kept


def _chunk(generate: Generate, c: int, count: int, extractor: Extractor) -> Any:
    """Chunk c as NumPy arrays, which every backend can send; None past the end; the UserError if there was one."""
    first = c * CHUNK
    if first >= count:
        return None
    try:
        with without_tf32():
            part = extractor(generate(first, min(CHUNK, count - first)))
    except UserError as error:
        return error
    return part.features.numpy(), part.logits.numpy()
