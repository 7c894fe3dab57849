"""Bad input: one line, exit code 2, before any work, and nothing overwritten."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from mmgan.runs.folder import RunFolder

pytestmark = pytest.mark.slow(3)

CASES = {
    "unknown layer": (["--mix", "1,block9"], "layer 'block9' is not in this network; the nearest names are"),
    "layer twice": (["--mix", "1,1"], "twice"),
    "alpha 0": (["--alpha", "0"], "--alpha 0.0 is out of range"),
    "uniform alpha over 1": (["--mix", "1", "--alpha", "1.5"], "0 < alpha <= 1"),
    "no such pair": (["--mix", "1", "--pairs", "real-real"], "real-real"),
    "misspelt flag": (["--alhpa", "1"], "unknown flag --alhpa: did you mean --alpha?"),
    "flag of other programs": (["--device", "cuda"], "`accelerate launch` chooses devices"),
    "bad choice": (["--loss", "hing"], "it must be one of jsgan"),
    "not a number": (["--steps", "many"], "--steps many is not valid: it must be a whole number"),
    "lazy nothing": (["--penalty-every", "16", "--lecam", "1"], "--penalty-every 16 has no penalty: add --r1"),
    "label of a pair": (["--mix", "1", "--loss", "relativistic"], "add --mix-target consistency"),
    "no such augmentation": (["--diffaugment", "colour"], "did you mean color?"),
    "augmented twice": (["--diffaugment", "color,color"], "twice"),
    "negative weight": (["--r1", "-1"], "--r1 -1.0 is out of range: it must be at least 0"),
    "boxes without positions": (["--mix", "linear", "--mix-rule", "cutmix"], "does not go with layer 'linear'"),
    "uneven slices": (["--accumulate", "3"], "--accumulate 3"),
    "renamed flag": (["--mix-label", "fake"], "it is --mix-target now"),
    "no such data": (["--data", "digit"], "did you mean digits?"),
    "absent data": (["--data", "cifar10", "--data-root", "{tmp}", "--score-every", "0"], "--data-root"),
    "image size": (["--image-size", "20"], "--image-size 16, the nearest"),
    "too many images": (["--max-images", "1438"], "choose 2 to 1437"),
    "channels": (["--channels", "2"], "1 (grey) or 3 (RGB)"),
    "uneven batch": (["--batch-size", "0"], "--batch-size 0 is out of range"),
    "few samples": (["--score-samples", "3", "--is-splits", "10"], "--is-splits 10"),
    "no weights": (["--extractor", "inception"], "--extractor-weights"),
    "weights not there": (["--extractor", "inception", "--extractor-weights", "{tmp}/no.pth"], "no.pth"),
    "no judge": (["--data", "folder:{tmp}", "--extractor", "classifier"], "--extractor inception"),
    "empty folder": (["--data", "folder:{tmp}", "--score-every", "0"], "{tmp}"),
    "nothing to resume": (["--resume"], "no run to resume"),
    "tracker not installed": (["--tracker", "clearml"], "clearml"),
    "holdout of everything": (["--holdout", "1"], "--holdout 1.0 is out of range: it must be below 1"),
    "holdout that leaves nothing": (["--holdout", "0.9999"], "sets 1437 aside and leaves 0"),
    "holdout of nothing": (["--holdout", "0.0001"], "sets 0 aside and leaves 1437"),
    "config not there": (["--config", "gan/cifar.yaml"], "that come with mmgan are configs/gan/cifar10.yaml, "),
}


@pytest.fixture(autouse=True)
def _no_inception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_told_in_one_line(name: str, tmp_path: Path, train, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    flags, expected = CASES[name]
    out = tmp_path / "run"
    code = train(out, *(flag.replace("{tmp}", str(tmp_path / "empty")) for flag in flags))
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert expected.replace("{tmp}", str(tmp_path / "empty")) in lines[0]
    assert not out.exists()


def test_a_misspelt_key_in_a_config(tmp_path: Path, train, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "my.yaml"
    config.write_text("data: digits\nalhpa: 0.3\n")
    assert train(tmp_path / "run", "--config", str(config)) == 2
    assert f"unknown key 'alhpa' in {config}: did you mean alpha?" in capsys.readouterr().err


def test_a_config_of_an_earlier_state(tmp_path: Path, train, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "my.yaml"
    config.write_text("data: digits\nmix_label: fake\n")
    assert train(tmp_path / "run", "--config", str(config)) == 2
    assert f"unknown key 'mix_label' in {config}: it is mix_target now" in capsys.readouterr().err


def test_one_image(tmp_path: Path, train, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("L", (16, 16)).save(folder / "a.png")
    assert train(tmp_path / "run", "--data", f"folder:{folder}", "--score-every", "0") == 2
    assert "holds 1 readable image, at least 2 are needed" in capsys.readouterr().err


def test_a_folder_that_holds_a_run_is_left_alone(tmp_path: Path, train, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    small = ["--steps", "1", "--score-every", "0", "--sample-every", "0"]
    assert train(out, *small) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert train(out, *small, "--seed", "1") == 2
    assert "--resume" in capsys.readouterr().err
    assert train(out, *small, "--resume", "--d-width", "8") == 2
    assert "d_width was 4, is 8" in capsys.readouterr().err
    assert train(out, *small, "--overwrite", "--mix", "nothing") == 2
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert train(out, *small, "--overwrite", "--seed", "1") == 0
    assert RunFolder(out).read_config()["seed"] == 1


def test_other_files_are_never_overwritten(tmp_path: Path, train, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert train(tmp_path, "--overwrite") == 2
    assert "holds files but no run" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_an_out_folder_that_cannot_be_made(tmp_path: Path, train, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert train(tmp_path / "file" / "run") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_checkpoint_of_another_architecture(tmp_path: Path, train, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--steps", "1", "--score-every", "0", "--sample-every", "0"]
    assert train(tmp_path / "a", *small) == 0
    assert train(tmp_path / "b", *small, "--d-width", "6") == 0
    (tmp_path / "a/checkpoints/step-00000001").rename(tmp_path / "old")
    (tmp_path / "b/checkpoints/step-00000001").rename(tmp_path / "a/checkpoints/step-00000001")
    capsys.readouterr()
    assert train(tmp_path / "a", *small, "--resume") == 2
    assert "d_width was 6, is 4" in capsys.readouterr().err


def test_a_bit_flip_is_found(tmp_path: Path, train, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--steps", "2", "--score-every", "0", "--sample-every", "0", "--checkpoint-every", "1"]
    assert train(tmp_path / "a", *small) == 0
    for checkpoint in (tmp_path / "a/checkpoints").iterdir():
        file = checkpoint / "generator.safetensors"
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    capsys.readouterr()
    assert train(tmp_path / "a", *small, "--resume") == 2
    error = capsys.readouterr().err
    assert "no checkpoint" in error
    assert "generator.safetensors does not have the content" in error
