"""Shapes in public signatures are checked in tests; real data is found through MMGAN_DATA."""

import os
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

from tests.support import shape_checks

SUPPORT = ["by_hand", "compare", "forks", "launches", "two_processes"]
"""Helpers that assert."""
pytest.register_assert_rewrite(*(f"tests.support.{name}" for name in SUPPORT))

# Not the networks that are mixed: they state n rows in, n rows out, and an append inside them makes it more.
# Not mmgan.mixing.plan either: a plan checks its own tensors, and the tests must see that it does.
HOOKED = ["mixing.policies", "losses", "data", "generators", "scoring", "analysis"]
install_import_hook([f"mmgan.{name}" for name in HOOKED], f"{shape_checks.__name__}.shapes_only")

# More threads than OMP_NUM_THREADS allows only contend: the networks here are tiny.
torch.set_num_threads(min(2, torch.get_num_threads()))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder that MMGAN_DATA names, which holds MNIST/, FashionMNIST/ and cifar10-jpeg/."""
    root = os.environ.get("MMGAN_DATA")
    if not root:
        pytest.skip("MMGAN_DATA is not set: it names the folder that holds MNIST/, FashionMNIST/ and cifar10-jpeg/")
    if not Path(root).is_dir():
        pytest.fail(f"MMGAN_DATA names {root}, which is not a folder")
    return Path(root)
