"""A GAN run small enough for tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState, GradientState

from mmgan.train_gan import main

TINY = [
    *("--d-width", "4", "--g-width", "4", "--latent-dim", "8", "--batch-size", "8", "--n-dis", "2"),
    *("--ema", "0.9", "--score-samples", "40", "--is-splits", "2", "--log-every", "3"),
]
"""Flags of a run on digits whose steps take milliseconds."""


@pytest.fixture(autouse=True)
def _shared(judge_cache: Path, blank: None) -> None:
    """The judge that scores, and charts that nobody looks at."""


@pytest.fixture(autouse=True)
def _fresh_accelerate() -> None:
    """Accelerate keeps its state for a process's life; a test is a run of its own."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


Train = Callable[..., int]


@pytest.fixture
def train() -> Train:
    """train(folder, *flags) -> exit code of the tiny run."""

    def run(out: Path, *flags: str) -> int:
        return main([*TINY, "--out", str(out), *flags])

    return run
