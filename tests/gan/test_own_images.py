"""A folder of one's own images, from the bare command: size, settings and scores that fit, and all of it said aloud."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan.config.fields import Names
from mmgan.config.gan import GanScoreSettings
from mmgan.config.shared import DataSettings
from mmgan.gan.choices import choose_extractor, choose_image_size
from mmgan.runs.folder import RunFolder, default_folder


def photos(folder: Path, *sizes: tuple[int, int]) -> DataSettings:
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for i, (width, height) in enumerate(sizes):
        Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(folder / f"{i:02d}.png")
    return DataSettings(data=f"folder:{folder}")


@pytest.mark.parametrize(
    ("sizes", "chosen", "said"),
    [
        ([(96, 96)] * 3, None, "image size 96, the images' own"),
        ([(28, 28)] * 3, 32, "images from 28x28 to 28x28"),
        ([(80, 32)] * 3, 32, "images from 80x32 to 80x32"),
        ([(50, 40), (300, 200), (39, 60)], 48, "images from 39x60 to 300x200 pixels, cut to their centred square"),
        ([(300, 200), (400, 400), (999, 100)], 64, "image size 64, chosen for"),
        ([(5, 9), (9, 5)], 16, "image size 16"),
    ],
)
def test_the_size_fits_the_images(sizes: list[tuple[int, int]], chosen: int | None, said: str, tmp_path: Path) -> None:
    data, lines = choose_image_size(photos(tmp_path / "p", *sizes))
    assert data.image_size == chosen
    assert said in lines[0]
    assert lines[0].endswith("--image-size sets another")


def test_a_size_that_was_given_stays(tmp_path: Path) -> None:
    data = photos(tmp_path / "p", (50, 40), (300, 200))
    given = DataSettings(data=data.data, image_size=128)
    assert choose_image_size(given) == (given, [])
    digits = DataSettings(data="digits")
    assert choose_image_size(digits) == (digits, [])
    empty = DataSettings(data=f"folder:{tmp_path / 'none'}")
    assert choose_image_size(empty) == (empty, [])


def test_scores_without_an_extractor_are_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    wanted = GanScoreSettings(extractor="auto")
    score, lines = choose_extractor(wanted, download=False)
    assert (score.extractor, score.score_every) == ("inception", 0)
    assert lines[0].startswith("no scores: no Inception weights in ")
    assert lines[0].endswith("give --extractor-weights FILE or add --download")
    (tmp_path / "weights.pth").write_text("")
    found, lines = choose_extractor(
        GanScoreSettings(extractor="auto", extractor_weights=str(tmp_path / "weights.pth")), download=False
    )
    assert (found.extractor, found.score_every, lines) == ("inception", wanted.score_every, [])


def test_a_bare_run_on_a_folder_and_its_resume(
    tmp_path: Path, train, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    data = photos(tmp_path / "p", *[(20, 30)] * 9, *[(25, 16)] * 7).data
    flags = ["--data", data, "--steps", "1", "--max-images", "10", "--sample-every", "0"]
    assert train(tmp_path / "run", *flags) == 0
    said = capsys.readouterr().out
    for words in (
        "no --config: the settings of configs/gan/folder.yaml",
        "10 images (train) of 16x16, RGB",
        "image size 16, chosen for images from 25x16 to 20x30 pixels",
        "no scores: no Inception weights in",
    ):
        assert words in said
    config = RunFolder(tmp_path / "run").read_config()
    assert (config["image_size"], config["extractor"], config["score_every"]) == (16, "inception", 0)
    assert (config["lr"], config["max_images"]) == (2e-4, 10)
    assert train(tmp_path / "run", *flags, "--resume") == 0
    assert train(tmp_path / "run", *flags, "--resume", "--max-images", "9") == 2
    assert "max_images was 10, is 9" in capsys.readouterr().err


def test_names_of_runs_have_no_colon() -> None:
    for data in ("folder:photos", "folder:/x/photos/", "folder:x/pho:tos"):
        name = default_folder(data, "", Names("1,pixel"), 0).name
        assert name.replace("-", "").startswith("photos")
        assert name.endswith("-1+pixel-seed0")
        assert ":" not in name
