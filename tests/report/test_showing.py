"""The pictures of a generator for a run's page: nearest images by brute force; a report runs no code of the user's."""

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import mmgan.gan.nearest
from mmgan.commands.report import main
from mmgan.data import load_images, make_images
from mmgan.gan.classes import Classes
from mmgan.gan.nearest import looked_at, nearest_images
from mmgan.gan.showing import shown_pictures
from mmgan.runs.folder import RunFolder
from tests.support.forks import Job, run_one
from tests.support.pages import read_page
from tests.support.small_runs import UNSCORED

KINDS = ["real", "neighbours", "interpolation"]


def test_the_nearest_are_those_of_plain_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmgan.gan.nearest, "CHUNK", 100)  # many chunks
    stream = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 1, 4, 4), generator=stream, dtype=torch.uint8)
    pixels = torch.randint(0, 256, (29, 1, 4, 4), generator=stream, dtype=torch.uint8)
    pixels[17] = images[1]
    found = nearest_images(images, pixels, 4)
    for i in range(3):
        squares = [((images[i].double() - other.double()) ** 2).mean().item() for other in pixels]
        expected = sorted((math.sqrt(square), j) for j, square in enumerate(squares))[:4]
        assert found.index[i].tolist() == [j for _, j in expected]
        assert found.distance[i].tolist() == pytest.approx([d for d, _ in expected], abs=0.05)
    assert found.index[1, 0] == 17
    others = nearest_images(pixels[:5], pixels, 1, skip_equal_index=True)
    assert all(int(j) != i for i, j in enumerate(others.index[:, 0]))


def test_of_very_many_images_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked_at(7, 16).tolist() == list(range(7))
    monkeypatch.setattr(mmgan.gan.nearest, "VALUES", 16 * 5)
    assert looked_at(101, 16).tolist() == [0, 25, 50, 75, 100]


class Constant(nn.Module):
    """Every sample is the image it was given; with classes, brighter by class."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.register_buffer("image", image)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        same = self.image.expand(len(z), *self.image.shape)
        return same if y is None else same * 0 + y[:, None, None, None] / 10


def opened(png: bytes) -> tuple[Image.Image, str]:
    image = Image.open(io.BytesIO(png))
    return image, image.info["Description"]


def test_a_copy_of_a_training_image_is_told() -> None:
    images = load_images("digits", "unused", image_size=16)
    copied = images.pixels[5].float() / 127.5 - 1
    pictures = shown_pictures(Constant(copied), images, 8, 0, "cpu", None)
    assert list(pictures) == KINDS
    assert f"64 of the {len(images):,} training images of digits (train)" in opened(pictures["real"])[1]
    picture, text = opened(pictures["neighbours"])
    assert "To the nearest it is 0.0 grey levels (median)" in text
    cell = 17 * (picture.width // (6 * 17 + 1))
    first, second = (picture.crop((at * cell, 0, (at + 1) * cell, cell)).tobytes() for at in (0, 1))
    assert first == second  # the sample and its nearest training image


def test_with_classes_a_row_has_one() -> None:
    images = load_images("digits", "unused", image_size=8)
    assert images.labels is not None
    classes = Classes(images.classes, tuple(images.labels.bincount().tolist()))
    pictures = shown_pictures(Constant(torch.zeros(1, 8, 8)), images, 8, 0, "cpu", classes)
    picture, text = opened(pictures["interpolation"])
    assert "a row has one class" in text
    rows = [picture.getpixel((picture.width // 16, int(picture.height * (i + 0.5) / 8)))[0] for i in range(8)]
    assert rows == pytest.approx([127.5 + 12.75 * k for k in range(8)], abs=1)
    assert "a class a row" in opened(pictures["real"])[1]


def test_few_images_have_no_neighbours() -> None:
    pixels = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    few = replace(make_images("few", "train", pixels))
    assert list(shown_pictures(Constant(torch.zeros(1, 8, 8)), few, 8, 0, "cpu", None)) == ["real", "interpolation"]


@pytest.mark.slow(6)
def test_a_run_leaves_them_and_a_report_makes_those_that_are_missing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run_one(Job("gan", [*UNSCORED, "--out", str(out)])).code == 0
    names = [f"step-00000006-{kind}.png" for kind in KINDS]
    assert sorted(names) == sorted(path.name for path in (out / "samples").glob("*-[a-z]*.png"))
    first = (out / "report.html").read_bytes()
    assert main([str(out)]) == 0
    assert (out / "report.html").read_bytes() == first
    for name in names:
        (out / "samples" / name).unlink()
    assert main([str(out)]) == 0
    assert (out / "report.html").read_bytes() == first  # made again, to the byte
    assert not list((out / "samples").glob("*-[a-z]*.png"))  # a report writes nothing but itself
    assert all(read_page(out / "report.html").figures[title].images == 1 for title in TITLES)


TITLES = ("Samples", "Training images", "Samples and their nearest training images", "From latent to latent")

OWN = """
import pathlib
from mmgan.generators import build_generator

pathlib.Path({mark!r}).touch()

def make(image_size, channels, latent_dim):
    return build_generator("resnet", image_size, channels, 4, latent_dim)
"""


@pytest.mark.slow(6)
def test_a_report_runs_no_code_that_a_run_names(tmp_path: Path) -> None:
    out, mark = tmp_path / "run", tmp_path / "ran"
    (tmp_path / "own.py").write_text(OWN.format(mark=str(mark)))
    flags = [*UNSCORED, "--out", str(out), "--generator", f"{tmp_path}/own.py:make"]
    at = flags.index("--g-width")  # describes mmgan's own generator
    del flags[at : at + 2]
    done = run_one(Job("gan", flags))
    assert done.code == 0, done.err
    assert mark.exists()
    mark.unlink()
    assert main([str(out)]) == 0
    assert all(read_page(out / "report.html").figures[title].images == 1 for title in TITLES)
    for path in (out / "samples").glob("*-[a-z]*.png"):
        path.unlink()
    assert main([str(out)]) == 0
    page = read_page(out / "report.html")
    for title in TITLES[1:]:
        assert "the generator is code of your own, which a report does not run" in page.figures[title].text
    assert not mark.exists()


def test_without_its_data_a_report_says_so(tmp_path: Path) -> None:
    out, images = tmp_path / "run", tmp_path / "images"
    images.mkdir()
    stream = torch.Generator().manual_seed(0)
    for i in range(16):
        pixels = torch.randint(0, 256, (16, 16), generator=stream, dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(images / f"{i}.png")
    done = run_one(Job("gan", [*UNSCORED, "--data", f"folder:{images}", "--out", str(out)]))
    assert done.code == 0, done.err
    for path in RunFolder(out).samples.glob("*-[a-z]*.png"):
        path.unlink()
    for path in images.iterdir():
        path.unlink()
    assert main([str(out)]) == 0
    assert "It cannot be made now: " in read_page(out / "report.html").figures["Training images"].text
