"""Two processes under DDP are one process on the joined batch."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from mmgan import Mixed
from tests.support.two_processes import LAYERS, network, train

ROOT = Path(__file__).parents[2]


def test_two_processes_equal_one_on_the_joined_batch(tmp_path: Path) -> None:
    out = tmp_path / "two.pt"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "tests.support.two_processes", str(out)],
        cwd=ROOT,
        env={**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    two = torch.load(out)
    one = train(Mixed(network(), LAYERS), rank=None, backward=torch.Tensor.backward)
    assert len({key.split(", ")[1] for key in one if key.startswith("step")}) > 1, "more than one layer was mixed"
    assert sum(bool(value.any()) for value in one.values()) > len(one) / 2
    torch.testing.assert_close(two["found"], one, rtol=1e-12, atol=1e-12)
    assert two["keys"] == list(network().state_dict())
