"""Runs that are scored against the images that they set aside: validation, while test images stay unseen."""

import json
from pathlib import Path

import pytest

from mmgan.commands import score
from mmgan.data import hold_out, load_images
from mmgan.runs.folder import RunFolder
from mmgan.train_gan import main

pytestmark = pytest.mark.slow(4)

FLAGS = ["--steps", "2", "--score-every", "1", "--score-samples", "60", "--is-splits", "2", "--d-width", "4"]
FLAGS += ["--g-width", "4", "--sample-every", "0", "--checkpoint-every", "0", "--max-images", "50", "--seed", "3"]


@pytest.fixture
def run(tmp_path: Path, judge_cache: Path) -> Path:
    folder = tmp_path / "run"
    assert main([*FLAGS, "--holdout", "0.1", "--real-split", "held-out", "--out", str(folder)]) == 0
    return folder


def test_the_images_set_aside_judge_and_choose_the_best(run: Path, tmp_path: Path) -> None:
    scores = RunFolder(run).read_scores()
    _, held_out = hold_out(load_images("digits", "unused", split="train", image_size=16), 0.1, 3)
    real = {entry["step"]: entry["real"] for entry in scores["history"]}
    assert real[1] == real[2] == {"name": "digits", "split": "held-out", "images": 144, "digest": held_out.digest}

    def again(*words: str) -> dict[str, object]:
        path = tmp_path / "again.json"
        assert score.main([str(run), *words, "--json", str(path)]) == 0
        entry: dict[str, object] = json.loads(path.read_text())
        return entry

    assert again()["scores"] == scores["last"]["scores"]
    best = again("--checkpoint", "best", "--real", "held-out")
    assert (best["scores"], best["step"]) == (scores["best"]["scores"], scores["best"]["step"])
    tested = again("--checkpoint", "best", "--real", "test")
    assert tested["real"]["split"] == "test"  # type: ignore[index]
    assert tested["scores"] != best["scores"]


def test_without_images_set_aside_it_is_refused(
    tmp_path: Path, judge_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = "--real-split held-out has no images: set some aside with --holdout 0.1"
    folder = tmp_path / "run"
    assert main([*FLAGS, "--real-split", "held-out", "--out", str(folder)]) == 2
    assert refusal in capsys.readouterr().err
    assert not folder.exists()
    assert main([*FLAGS, "--out", str(folder)]) == 0
    capsys.readouterr()
    assert score.main([str(folder), "--real", "held-out"]) == 2
    assert refusal in capsys.readouterr().err
    assert score.main([str(folder), "--real", "validation"]) == 2
    assert "choose train, test or held-out" in capsys.readouterr().err
