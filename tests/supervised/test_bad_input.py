"""What the trainer refuses: one line, exit code 2, nothing trained and nothing written."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmgan.runs.folder import RunFolder

Train = Callable[..., int]
SCRIPT = Path(__file__).parents[2] / "mmgan" / "train_classifier.py"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--validation", "0"], "--validation 0 is out of range: it must be at least 1"),
        (["--train-images", "0"], "--train-images 0 is out of range: it must be at least 1"),
        (["--train-images", "1138"], "1138 images cannot be drawn from the 1137 of digits (train): choose 1 to 1137"),
        (["--validation", "1437"], "a validation set of 1437 images cannot be carved from the 1437"),
        (["--mix", "layer9"], "layer 'layer9' is not in this network"),
        (["--mix", "1", "--alpha", "-1"], "--alpha -1"),
        (["--mix", "1", "--alpha", "2", "--lam", "uniform"], "0 < alpha <= 1"),
        (["--mix", "1,pixel", "--lam", "adamix"], "mixes the input alone, and --mix names '1'"),
        (["--lam", "adamix"], "--lam adamix mixes the input: choose --mix pixel"),
        (["--mix", "pixel", "--lam", "adamix", "--layer-per", "example"], "choose --layer-per batch"),
        (["--mix", "1", "--adamix-hidden"], "--adamix-hidden needs --lam adamix"),
        (["--mix", "pixel", "--lam", "adamix", "--batch-size", "1"], "choose --batch-size 2 or more a process"),
        (["--pgd-epsilon", "-0.1"], "--pgd-epsilon -0.1 is out of range"),
        (["--pgd-step", "2/0"], "--pgd-step 2/0 is not valid: it must be a number or a fraction, as in 8/255"),
        (["--steps", "9"], "unknown flag --steps: --steps is the length of a GAN run"),
        (["--width", "4"], "width is not a setting of mlp"),
        (["--widths", "16,x"], "--widths 16,x is not valid"),
        (["--milestones", "0"], "--milestones 0 is not valid"),
        (["--label-smoothing", "1"], "--label-smoothing 1.0 is out of range"),
        (["--momentum", "0"], "--nesterov needs a momentum"),
        (["--arch", "preactresnet18", "--depth", "18"], "--depth is not a setting of preactresnet18"),
        (["--epoch", "3"], "unknown flag --epoch: did you mean --epochs?"),
        (["--loss", "mse"], "--loss mse is not valid: it must be one of ce, bce"),
        (["--data", "digit"], "did you mean digits?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refused(train: Train, tmp_path: Path, flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run", *flags) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_command_itself_ends_with_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--validation", "0", "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr == "error: --validation 0 is out of range: it must be at least 1\n"
    assert not (tmp_path / "run").exists()


def pictures(folder: Path, count: int = 4) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{i}.png")


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (("train/a", "test/a"), "has one class, 'a'"),
        (("train", "test"), "has no labels"),
        (("a", "b"), 'has no split "test"'),
        (("train/a", "train/b", "test/a", "test/c"), "holds a class c, and"),
    ],
)
def test_data_that_cannot_be_told_apart(
    train: Train, tmp_path: Path, classes: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in classes:
        pictures(tmp_path / "data" / name)
    flags = ["--data", f"folder:{tmp_path / 'data'}", "--validation", "2", "--batch-size", "4"]
    assert train(tmp_path / "run", *flags) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_label_outside_the_classes(tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    for prefix in ("train", "t10k"):
        raw = tmp_path / "MNIST" / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        pixels, labels = np.zeros((20, 28, 28), np.uint8), np.arange(20, dtype=np.uint8)
        write_idx(raw / f"{prefix}-images-idx3-ubyte", pixels)
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", labels)
    assert train(tmp_path / "run", "--data", "mnist", "--data-root", str(tmp_path), "--validation", "3") == 2
    assert "labels run from 0 to 19, but there are 10 classes" in capsys.readouterr().err


def write_idx(path: Path, values: np.ndarray) -> None:
    head = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    path.write_bytes(head + values.tobytes())


def test_another_run_is_neither_overwritten_nor_continued(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(tmp_path / "run")
    assert train(folder.path, "--epochs", "1") == 0
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    capsys.readouterr()
    for flags, said in (
        ([], "already holds a run"),
        (["--resume", "--lr", "0.5"], "lr was 0.1, is 0.5"),
        (["--resume", "--image-size", "12"], "image_size was 8, is 12"),
    ):
        assert train(folder.path, "--epochs", "1", *flags) == 2
        assert said in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before
