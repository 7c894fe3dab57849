"""Which images make up which step: an endless order that every process can compute for itself."""

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from mmgan.draws import numpy_stream
from mmgan.errors import UserError


class Order:
    """Epoch permutations laid end to end; step s takes positions [s * batch_size, (s + 1) * batch_size).

    Position p is image perm(seed, epoch)[p mod n] of epoch p // n, so that one epoch visits every image exactly
    once. If the batch size does not divide n, a batch reaches over into the next epoch. Rank r takes the r-th
    contiguous slice of each batch. A pure function of (seed, purpose, step).

    Raises UserError for sizes that do not fit.
    """

    def __init__(
        self, count: int, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1, purpose: str = "order"
    ) -> None:
        if count < 1:
            raise UserError("there are no images to draw batches from")
        if batch_size < 1:
            raise UserError(f"the batch size must be at least 1, not {batch_size}")
        if batch_size % world_size:
            raise UserError(
                f"the batch size {batch_size} is that of all processes together: it must be a multiple of their "
                f"number, {world_size}"
            )
        if not 0 <= rank < world_size:
            raise UserError(f"rank {rank} is not one of the {world_size} processes (0 to {world_size - 1})")
        self.count = count
        self.batch_size = batch_size
        self.seed = seed
        self.purpose = purpose
        share = batch_size // world_size
        self.slice = slice(rank * share, (rank + 1) * share)  # of the global batch
        self._permutations: dict[int, np.ndarray] = {}

    def indices(self, step: int) -> Int64[Tensor, " b"]:
        """The images of this rank's slice of the batch at `step`."""
        position = step * self.batch_size + self.slice.start
        end = step * self.batch_size + self.slice.stop
        pieces = []
        while position < end:
            epoch, offset = divmod(position, self.count)
            pieces.append(self._permutation(epoch)[offset : offset + end - position])
            position += len(pieces[-1])
        return torch.from_numpy(np.concatenate(pieces))

    def _permutation(self, epoch: int) -> np.ndarray:
        if epoch not in self._permutations:
            if len(self._permutations) == 2:  # a batch reaches over two epochs; more only where they are tiny
                del self._permutations[next(iter(self._permutations))]
            self._permutations[epoch] = numpy_stream(self.seed, self.purpose, step=epoch).permutation(self.count)
        return self._permutations[epoch]
