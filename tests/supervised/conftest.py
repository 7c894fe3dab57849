"""A classifier run small enough for tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState, GradientState

from mmgan.train_classifier import main
from tests.support.tiny_run import TINY

Train = Callable[..., int]


@pytest.fixture(autouse=True)
def _fresh_accelerate() -> None:
    """Accelerate keeps its state for a process's life; a test is a run of its own."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture(autouse=True)
def _blank(blank: None) -> None:
    """Charts that nobody looks at are not drawn."""


@pytest.fixture
def train() -> Train:
    """train(folder, *flags) -> exit code of the tiny run."""

    def run(out: Path, *flags: str) -> int:
        return main([*TINY, "--out", str(out), *flags])

    return run
