"""Runs through the command: what is left behind, every arm, resuming, two processes, evaluation."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from safetensors.torch import load_file

from mmgan.commands.evaluate import main as evaluate
from mmgan.data import load_images, split_validation
from mmgan.process.alone import Alone
from mmgan.runs.folder import RunFolder
from mmgan.supervised.held_out import held_out_result
from mmgan.supervised.networks import load_classifier
from mmgan.train_classifier import main
from tests.support.forks import Job, run_one
from tests.support.tiny_run import TINY

pytestmark = pytest.mark.slow(5)

Train = Callable[..., int]


@pytest.mark.parametrize(
    "flags",
    [
        ("--mix", "pixel", "--alpha", "1"),
        ("--mix", "1,2,pixel", "--per", "example", "--layer-per", "example"),
        ("--mix", "1", "--detach", "--cutout", "4", "--flip", "--crop-padding", "1"),
        ("--dropout", "0.5", "--batch-norm", "--input-noise", "0.2", "--ema", "0.9", "--bottleneck", "2"),
        ("--adversarial", "pgd", "--pgd-steps", "2", "--loss", "bce", "--label-smoothing", "0.1"),
        ("--lr-decay", "none", "--no-nesterov", "--clip-grad", "1", "--mixed-precision", "bf16"),
    ],
    ids=lambda flags: " ".join(flags[:2]),
)
def test_every_arm_runs(train: Train, tmp_path: Path, flags: tuple[str, ...]) -> None:
    assert train(tmp_path / "run", "--epochs", "1", *flags) == 0
    scores = RunFolder(tmp_path / "run").read_scores()
    assert scores["last"]["test"]["examples"] == 360


def test_what_a_run_leaves_behind(train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(tmp_path / "run")
    assert train(folder.path, "--mix", "1,2,pixel", "--epochs", "4") == 0
    said = capsys.readouterr().out
    assert "the embedded default, configs/classifier/digits.yaml" in said
    assert "configs/classifier/cifar10-preactresnet18.yaml" in said
    assert "test error" in said
    rows = folder.read_metrics()
    assert [row["step"] for row in rows] == list(range(1, 25))  # 1137 images, 6 steps an epoch
    validated = [row for row in rows if "val_error_percent" in row]
    assert [row["step"] for row in validated] == [6, 12, 18, 24]
    scores = folder.read_scores()
    best = min(validated, key=lambda row: (row["val_error_percent"], row["val_nll"]))
    assert scores["best"]["step"] == best["step"]
    assert scores["best"]["validation"]["nll"] == best["val_nll"]
    assert scores["last"]["step"] == 24
    assert scores["last"]["validation"] == {
        "error_percent": validated[-1]["val_error_percent"],
        "nll": validated[-1]["val_nll"],
        "examples": 300,
    }
    assert folder.report_file.is_file()


def test_training_on_some_of_the_images(train: Train, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    assert train(folder.path, "--train-images", "401") == 0
    assert folder.read_metrics()[-1]["step"] == 6  # 2 epochs of 401 images, 200 a step
    assert folder.read_scores()["last"]["validation"]["examples"] == 300


def test_held_out_numbers_against_scikit_learn(train: Train, tmp_path: Path) -> None:
    from sklearn.metrics import accuracy_score, log_loss

    folder = RunFolder(tmp_path / "run")
    assert train(folder.path) == 0
    test = load_images("digits", "unused", split="test", image_size=8)
    trained = load_classifier(folder, "last", 10)
    p = trained.network(test.pixels / 127.5 - 1).double().softmax(1).numpy()
    scored = folder.read_scores()["last"]["test"]
    assert scored["error_percent"] == pytest.approx(100 * (1 - accuracy_score(test.labels, p.argmax(1))))
    assert scored["nll"] == pytest.approx(log_loss(test.labels, p, labels=range(10)), rel=1e-5)


def test_resumed_run_is_the_whole_run(train: Train, tmp_path: Path) -> None:
    whole, cut = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "cut")
    flags = ("--mix", "1,pixel", "--dropout", "0.2", "--batch-norm", "--keep-checkpoints", "9", "--ema", "0.5")
    assert train(whole.path, "--epochs", "3", *flags) == 0
    shutil.copytree(whole.path, cut.path)
    for name in ("step-00000012", "step-00000018"):
        shutil.rmtree(cut.checkpoints / name)
    cut.scores_file.unlink()
    assert train(cut.path, "--epochs", "3", *flags, "--resume") == 0
    assert cut.read_metrics() == whole.read_metrics()
    assert cut.read_scores() == whole.read_scores()
    for stem in ("classifier", "classifier-average"):
        a, b = (load_file(f.checkpoints / "step-00000018" / f"{stem}.safetensors") for f in (cut, whole))
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_resumed_run_remembers_its_best_epoch(train: Train, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    assert train(folder.path, "--epochs", "3", "--keep-checkpoints", "9") == 0
    rows = folder.read_metrics()
    rows[5] |= {"val_error_percent": 0.0, "val_nll": 0.0}  # the first epoch, which nothing after it can surpass
    folder.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shutil.rmtree(folder.checkpoints / "best")
    shutil.copytree(folder.checkpoints / "step-00000006", folder.checkpoints / "best")
    for name in ("step-00000012", "step-00000018"):
        shutil.rmtree(folder.checkpoints / name)
    written = (folder.checkpoints / "best").stat().st_ino
    assert train(folder.path, "--epochs", "3", "--keep-checkpoints", "9", "--resume", "--allow-changed") == 0
    assert (folder.checkpoints / "best").stat().st_ino == written


@pytest.mark.slow(3)
def test_two_processes_give_the_numbers_of_one(tmp_path: Path) -> None:
    """DDP with the gradient blocked and BatchNorm; 360 test images are a chunk of 250 and one of 110."""
    folder = RunFolder(tmp_path / "run")
    flags = [
        *("--image-size", "8", "--widen-factor", "1", "--epochs", "1", "--batch-size", "400", "--validation", "301")
    ]
    flags += ["--out", str(folder.path), "--mix", "1,2", "--detach", "--no-channels-last"]
    done = run_one(Job("classifier", flags, processes=2))
    assert done.codes == [0, 0], done.err
    trained = load_classifier(folder, "last", 10)
    assert trained.facts["processes"] == 2
    test = load_images("digits", "unused", split="test", image_size=8)
    _, validation = split_validation(load_images("digits", "unused", image_size=8), 301, 0)
    last = folder.read_scores()["last"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the two processes: sums of other numbers of threads differ in the last bit
    try:
        for name, split in (("test", test), ("validation", validation)):
            result = held_out_result(trained.network, split, Alone("cpu"))
            assert last[name]["error_percent"] == result.error_percent
            assert last[name]["nll"] == pytest.approx(result.nll, rel=1e-12)
            assert last[name]["examples"] == len(split)
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    assert main([*TINY, "--out", str(folder), "--epochs", "1"]) == 0
    return folder


def test_evaluate(train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(tmp_path / "run")
    assert train(folder.path) == 0
    quick = ["--limit", "40", "--bank", "60", "--attack-examples", "3", "--spectrum-examples", "30"]
    capsys.readouterr()
    assert evaluate([str(folder.path), "--json", "--checkpoint", "best", *quick]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results == json.loads((folder.path / "evaluation.json").read_text())
    assert results["examples"] == 40
    assert results["checkpoint"] == "best"
    assert set(results["spectra"]) == {"1", "2", "features"}
    for name in ("reliability.png", "singular-values.png", "deformations.png"):
        assert (folder.path / name).read_bytes().startswith(b"\x89PNG")
    assert evaluate([str(folder.path), "--limit", "0", *quick[2:]]) == 0
    table = capsys.readouterr().out
    error = folder.read_scores()["last"]["test"]["error_percent"]
    assert f"{error:.2f} %" in next(line for line in table.splitlines() if line.startswith("test error"))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--epsilon", "-0.1"], "--epsilon -0.1 is out of range"),
        (["--checkpoint", "step-7"], "there is no checkpoint 'step-7'"),
        (["--layer", "9"], "layer '9' is not in this network"),
        (["--limit", "-1"], "--limit -1 is out of range"),
    ],
)
def test_evaluate_refuses(run_folder: Path, flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate([str(run_folder), *flags]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_evaluate_refuses_a_checkpoint_of_other_classes(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    for split in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            write_pictures(tmp_path / "data" / split / name, 3)
    text = (folder / "config.yaml").read_text().replace("data: digits", f"data: folder:{tmp_path / 'data'}")
    (folder / "config.yaml").write_text(text)
    assert evaluate([str(folder)]) == 2
    assert "data was digits, is folder:" in capsys.readouterr().err
    assert evaluate([str(folder), "--allow-changed"]) == 2
    assert "a classifier with 10 classes, but the data has 2" in capsys.readouterr().err


def write_pictures(folder: Path, count: int) -> Any:
    from PIL import Image

    for i in range(count):
        Image.new("L", (8, 8), 40 * i).save(folder / f"{i}.png")
