"""Two processes under DDP are one process on the joined batch."""

from pathlib import Path

import pytest
import torch

from mmgan import Mixed
from tests.support.forks import Job, run_one
from tests.support.two_processes import LAYERS, network, train

pytestmark = pytest.mark.slow(1)


def test_two_processes_equal_one_on_the_joined_batch(tmp_path: Path) -> None:
    out = tmp_path / "two.pt"
    done = run_one(Job("tests.support.two_processes", [str(out)], processes=2))
    assert done.codes == [0, 0], done.err
    two = torch.load(out)
    one = train(Mixed(network(), LAYERS), rank=None, backward=torch.Tensor.backward)
    assert len({key.split(", ")[1] for key in one if key.startswith("step")}) > 1, "more than one layer was mixed"
    assert sum(bool(value.any()) for value in one.values()) > len(one) / 2
    torch.testing.assert_close(two["found"], one, rtol=1e-12, atol=1e-12)
    assert two["keys"] == list(network().state_dict())
