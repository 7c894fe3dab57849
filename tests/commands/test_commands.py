"""The `mmgan` command and its small commands: help, and what they refuse."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from mmgan.__main__ import COMMANDS, main
from tests.support.scoring_images import smooth_images, write_images


def test_help_lists_every_command_and_imports_no_torch() -> None:
    code = "import sys; from mmgan.__main__ import main; main(['--help']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    assert f"usage: mmgan {name}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mmgan 0.")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(3):
        Image.new("RGB", (16, 16), (i, i, i)).save(folder / f"{i}.png")
    return folder


REFUSED = {
    "unknown command": (["scor"], "did you mean score?"),
    "no target": (["score"], "RUN-or-IMAGES"),
    "no such folder": (["score", "{tmp}/none"], "is no run folder"),
    "folder without real": (["score", "{images}"], "name the real images with --real"),
    "no weights": (["score", "{images}", "--real", "{images}"], "--extractor-weights FILE"),
    "judge for folders": (["score", "{images}", "--real", "{images}", "--extractor", "classifier"], "FID Inception"),
    "not a run": (["sample", "{images}"], "config.yaml"),
    "no images asked for": (["sample", "{images}", "--count", "0"], "--count 0"),
    "would overwrite": (["sample", "{tmp}", "--out", "{images}"], "is not an empty folder"),
    "not a number": (["sample", "{images}", "--count", "x"], "--count"),
    "report of no run": (["report", "{images}"], "config.yaml"),
    "evaluate no run": (["evaluate", "{images}"], "config.yaml"),
    "flag of other programs": (["sample", "{images}", "--device", "cuda"], "`accelerate launch` chooses devices"),
    "misspelt flag": (["sample", "{images}", "--truncate", "1"], "did you mean --truncation?"),
    "no fraction": (["evaluate", "{images}", "--epsilon", "8/0"], "--epsilon"),
    "negative epsilon": (["evaluate", "{images}", "--epsilon", "-0.1"], "--epsilon -0.1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_told_in_one_line(
    name: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    words, expected = REFUSED[name]
    before = sorted(tmp_path.rglob("*"))
    assert main([word.replace("{images}", str(images)).replace("{tmp}", str(tmp_path)) for word in words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert expected in lines[0]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow(4)
def test_two_folders_by_a_timm_network_with_all_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lite = Path(__file__).parents[2].resolve() / "../shared/weights/tf_efficientnet_lite0.safetensors"
    if not lite.is_file():
        pytest.skip(f"no {lite}")
    folders = [write_images(tmp_path / name, smooth_images(10, seed)) for seed, name in enumerate("ab")]
    flags = ["--precision-recall", "--density-coverage", "--fd-infinite", "--mmd", "--is-splits", "2"]
    words = ["--extractor", "timm:tf_efficientnet_lite0", "--extractor-weights", str(lite)]
    assert main(["score", str(folders[0]), "--real", str(folders[1]), *words, *flags, "--json", f"{tmp_path}/s"]) == 0
    entry = json.loads((tmp_path / "s").read_text())
    assert entry["extractor"]["layer"] == "pooled features before the classifier"
    assert "class_score:timm:tf_efficientnet_lite0_mean" in entry["scores"]
    assert {"precision", "recall", "density", "coverage", "gaussian_mmd"} < set(entry["scores"])
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines()]
    assert lines[0] == ["score", "value", "95", "%", "interval"]
    assert ["coverage", f"{entry['scores']['coverage']:.3f}"] in lines
    assert next(line for line in lines if line[:1] == ["protocol"])[:4] == ["protocol", "custom,", "2", "splits"]
