"""What no memory holds is refused before any work, and memory that runs out ends a program in one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import mmgan.__main__
from mmgan.classifiers import build_classifier
from mmgan.discriminators import build_discriminator
from mmgan.generators import build_generator
from mmgan.process.program import program
from mmgan.runs import estimate
from mmgan.runs.estimate import Pass, check_training
from tests.support.refusals import refused_in_one_line
from tests.support.small_runs import CLASSIFIER, GAN

pytestmark = pytest.mark.slow(4)

TRAIN_GAN, TRAIN_CLASSIFIER = ["train-gan", *GAN], ["train-classifier", *CLASSIFIER]
UNSCORED = [*TRAIN_GAN, "--score-every", "0"]
HUGE, ABSURD = str(2**40), str(10**30)
REFUSED = {
    "batch": ([*UNSCORED, "--batch-size", HUGE], "batches of this size need at least"),
    "absurd batch": ([*UNSCORED, "--batch-size", ABSURD], "lower --batch-size"),
    "classifier's batch": ([*TRAIN_CLASSIFIER, "--batch-size", HUGE], "batches of this size need at least"),
    "width": ([*UNSCORED, "--d-width", str(2**20)], "networks of this size need at least"),
    "absurd width": ([*UNSCORED, "--g-width", ABSURD], "networks of this size cannot be built: lower"),
    "latents": ([*UNSCORED, "--latent-dim", HUGE], "lower --batch-size, --d-width, --g-width, --latent-dim"),
    "widths": ([*TRAIN_CLASSIFIER, "--widths", "10000000,10000000"], "networks of this size need at least"),
    "images": ([*UNSCORED, "--image-size", str(2**20)], "lower --image-size"),
    "samples": ([*TRAIN_GAN, "--score-samples", str(10**15)], "features of 1,000,000,000,000,000 samples need"),
    "depth": (["train-classifier", "--arch", "wideresnet", "--depth", str(6 * 10**9 + 4)], "must be below 2000"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_memory_holds_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv, message = REFUSED[name]
    assert mmgan.__main__.main([*argv, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "resnet D": (lambda: build_discriminator("resnet", 32, 3, 8), (3, 32, 32)),
    "dcgan D": (lambda: build_discriminator("dcgan", 32, 3, 8), (3, 32, 32)),
    "resnet G": (lambda: build_generator("resnet", 32, 3, 8, 16), (16,)),
    "preactresnet": (lambda: build_classifier("preactresnet", 10, 3, 32, depth=18, width=4), (3, 32, 32)),
    "mlp": (lambda: build_classifier("mlp", 10, 1, 16, widths=(512, 512)), (1, 16, 16)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_estimate_is_below_what_the_backward_pass_keeps_and_of_its_size(name: str) -> None:
    build, shape = NETWORKS[name]
    network = build()
    kept: dict[int, int] = {}

    def keep(x: torch.Tensor) -> torch.Tensor:
        kept[x.data_ptr()] = x.numel() * x.element_size()
        return x

    own = {p.data_ptr() for p in network.parameters()}
    held = []  # so that no address is used twice
    with torch.autograd.graph.saved_tensors_hooks(lambda x: held.append(x) or keep(x), lambda x: x):
        held.append(network(torch.randn(64, *shape)))
    saved = sum(size for address, size in kept.items() if address not in own) / 64
    with torch.device("meta"):
        on_meta = build()
    estimated = estimate._kept_by_a_row(on_meta, shape)
    assert saved / 16 < estimated < saved


def test_networks_with_large_batches_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    build, shape = NETWORKS["resnet D"]
    network = build()
    weights = 2 * 4 * sum(p.numel() for p in network.parameters())
    with torch.device("meta"):
        row = estimate._kept_by_a_row(build(), shape)
    for rows, memory, refusal in (
        (100, 100 * (row + 4 * 3 * 32 * 32) + weights, None),
        (101, 100 * (row + 4 * 3 * 32 * 32) + weights, "networks and batches of this size"),
        (1, weights, "networks of this size"),
        (8, 8 * 4 * 3 * 32 * 32 - 1, "batches of this size"),
    ):
        monkeypatch.setattr(estimate, "memory_of", lambda _device, memory=memory: memory)
        monkeypatch.setattr("mmgan.memory.memory_of", lambda _device, memory=memory: memory)

        def check(rows: int = rows) -> None:
            check_training(lambda: [build()], [Pass(rows, shape)], [8], "cpu", "--batch-size")

        if refusal is None:
            check()
        else:
            refused_in_one_line(f"{refusal} need at least .* lower --batch-size", check)


def test_memory_that_runs_out_ends_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def on_gpu() -> None:
        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB\nof which"
        )

    for action, message in (
        (lambda: torch.empty(2**50), r"the memory of the machine is full (4.1e+03 TiB more were asked for): lower"),
        (lambda: np.zeros(2**50), r"the memory of the machine is full (8.00 PiB more were asked for): lower"),
        (lambda: bytearray(2**60), r"the memory of the machine is full: lower"),
        (on_gpu, r"the memory of the GPU is full (2.00 GiB more were asked for): lower --batch-size"),
    ):

        @program
        def main(_argv: object, action: Callable[[], object] = action) -> None:
            action()

        assert main([]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"error: {message}")
        assert error.count("\n") == 1

    @program
    def other(_argv: object) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        other([])
