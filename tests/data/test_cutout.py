"""Cutout against a loop over pixels."""

import pytest
import torch

from mmgan.data.cutout import cutout
from mmgan.draws import numpy_stream


@pytest.mark.parametrize("side", [1, 4, 5, 20])
def test_each_image_has_its_own_square(side: int) -> None:
    x = torch.ones(6, 2, 9, 7)
    rng = numpy_stream(3, "cutout", step=11)
    down, across = rng.integers(0, 9, 6), rng.integers(0, 7, 6)
    out = cutout(x, side, seed=3, step=11)
    for i in range(6):
        for r in range(9):
            for c in range(7):
                top, left = int(down[i]) - side // 2, int(across[i]) - side // 2
                inside = top <= r < top + side and left <= c < left + side
                assert (out[i, :, r, c] == (0 if inside else 1)).all()
    assert (x == 1).all()


def test_any_number_of_processes_puts_the_same_squares() -> None:
    x = torch.rand(8, 1, 10, 10)
    parts = [cutout(x[4 * r : 4 * r + 4], 3, seed=0, step=2, rank=r, world_size=2) for r in range(2)]
    assert torch.equal(torch.cat(parts), cutout(x, 3, seed=0, step=2))


def test_another_step_puts_other_squares_and_side_0_none() -> None:
    x = torch.ones(8, 1, 10, 10)
    assert not torch.equal(cutout(x, 3, seed=0, step=2), cutout(x, 3, seed=0, step=3))
    assert cutout(x, 0, seed=0, step=2) is x
