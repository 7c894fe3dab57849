"""The same images from a folder, an archive and a data set, and what is refused of each."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan.data import load_images
from mmgan.errors import UserError
from mmgan.scoring import ALONE, Processes, ScoreSettings, SetScores, archives, open_images, score_sets
from mmgan.scoring.image_sets import ImageSet
from tests.support.images import chunk, png_of
from tests.support.ranks import on_ranks
from tests.support.scoring_images import smooth_images, tiny_extractor, write_images

SETTINGS = ScoreSettings(splits=2, kid_subsets=3, kid_subset_size=20)


def zipped(folder: Path) -> Path:
    """The folder's files in an archive, in an order of no meaning."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.png"), key=lambda file: file.name[::-1]):
            archive.write(file, file.relative_to(folder).as_posix())
        archive.writestr("__MACOSX/x/._000.png", b"resource fork")
        archive.writestr("readme.txt", b"not an image")
    return path


def all_pixels(images: ImageSet) -> torch.Tensor:
    return images.read(0, images.count)


@pytest.fixture
def by_class(tmp_path: Path) -> Path:
    folder = tmp_path / "classes"
    for i, name in enumerate(("cat", "dog")):
        write_images(folder / name, smooth_images(45, i))
    return folder


def test_folder_archive_and_array_hold_the_same_images(by_class: Path, tmp_path: Path) -> None:
    folder, archive = open_images(str(by_class)), open_images(str(zipped(by_class)))
    pixels = all_pixels(folder)
    assert torch.equal(pixels, torch.cat([smooth_images(45, 0), smooth_images(45, 1)]))
    assert torch.equal(all_pixels(archive), pixels)
    assert folder.classes == archive.classes == ("cat",) * 45 + ("dog",) * 45
    last, first = tmp_path / "last.npz", tmp_path / "first.npz"
    np.savez(last, pixels.permute(0, 2, 3, 1).numpy(), np.repeat([3, 7], 45))  # arr_0 and arr_1, as ADM writes them
    np.savez_compressed(first, images=pixels.numpy())
    assert torch.equal(all_pixels(open_images(str(last))), pixels)
    assert torch.equal(all_pixels(open_images(str(first))), pixels)
    assert open_images(str(last)).classes == ("3",) * 45 + ("7",) * 45
    assert open_images(str(first)).classes is None
    digits = open_images("digits", split="test")
    kept = load_images("digits", "", split="test")
    assert torch.equal(all_pixels(digits), kept.pixels)
    assert digits.classes is not None
    assert digits.classes[0] == kept.classes[int(kept.labels[0])]  # type: ignore[index]


def test_images_of_several_sizes_are_cut_to_one_and_it_is_said(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "a", smooth_images(2, 0, size=16))
    Image.new("RGB", (40, 20), (9, 8, 7)).save(folder / "wide.png")
    with pytest.raises(UserError, match=r"differ in size, .*40x20.*choose one with --image-size"):
        open_images(str(folder))
    images = open_images(str(folder), image_size=16)
    assert all_pixels(images).shape == (3, 3, 16, 16)
    assert torch.equal(images.read(0, 1), smooth_images(2, 0, size=16)[:1])
    assert "resized to 16 pixels" in images.notes[0]


def test_what_is_no_set_of_images_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.zip").write_text("text")
    (tmp_path / "text.npz").write_text("text")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("a.txt", b"")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w") as archive:
        archive.writestr("a.png", png_of(20_000, 20_000, chunk(b"IDAT", b"")))
    with zipfile.ZipFile(tmp_path / "large.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(100_000))
    monkeypatch.setattr(archives, "LARGEST", 50_000)
    np.savez(tmp_path / "float.npz", np.zeros((4, 8, 8, 3)))
    np.savez(tmp_path / "many.npz", np.zeros((4, 8, 8, 5), np.uint8))
    np.savez(tmp_path / "code.npz", np.array([print], dtype=object))
    cases = {
        "text.zip": "not a readable zip archive",
        "text.npz": "not a readable .npz file",
        "empty.zip": "no image in",
        "bomb.zip": "is not a readable image .*decompression bomb",
        "large.zip": "it claims 100,000 bytes",
        "float.npz": "float64 .*it must hold one array of images",
        "many.npz": "give grey .1 channel. or RGB",
        "code.npz": "it must hold one array of images",
        "absent.zip": "there is no file",
        "absent": "is not a folder, a .zip or .npz file, or a data set",
    }
    for name, message in cases.items():
        with pytest.raises(UserError, match=message) as caught:
            open_images(str(tmp_path / name))
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r'no data set "digit".*did you mean digits'):
        open_images("digit")
    with pytest.raises(UserError, match="only data sets have splits"):
        open_images(str(tmp_path), split="test")


def test_an_array_that_memory_does_not_hold_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", np.zeros((4, 8, 8, 3), np.uint8))
    monkeypatch.setattr(archives.os, "sysconf", lambda name: 30)
    with pytest.raises(UserError, match="768 bytes of images, more than half of this machine's memory"):
        open_images(str(tmp_path / "a.npz"))


def test_classes_are_scored_on_their_own_images(by_class: Path, tmp_path: Path) -> None:
    extractor, other = tiny_extractor(), tmp_path / "other"
    for i, name in enumerate(("cat", "dog")):
        write_images(other / name, smooth_images(50, i + 7, 0.8))
    found = score_sets(open_images(str(by_class)), open_images(str(other)), extractor, SETTINGS, by_class=True)
    assert found is not None
    assert found.classes is not None
    for name in ("cat", "dog"):
        of = found.classes[name]
        alone = score_sets(open_images(str(by_class / name)), open_images(str(other / name)), extractor, SETTINGS)
        assert alone is not None
        assert (of.samples, of.reals) == (45, 50)
        expected = {key: value for key, value in alone.scores.values.items() if "class_score" not in key}
        assert of.scores.values == pytest.approx(expected, rel=1e-4)
    assert not any("by class" in note for note in found.scores.notes)  # 45 images for 8 features
    small = smooth_images(16, 0), smooth_images(16, 1)
    for side in ("x", "y"):
        for name, images in zip(("cat", "dog"), small, strict=True):
            write_images(tmp_path / side / name, images[:8])
    sets = [open_images(str(tmp_path / side)) for side in ("x", "y")]
    few = score_sets(*sets, extractor, SETTINGS, by_class=True)
    assert few is not None
    assert any("2 of 2 classes have no more images than the 8 features" in note for note in few.scores.notes)


@pytest.mark.parametrize("count", [2, 3])
def test_sets_score_alike_for_any_number_of_processes(count: int, by_class: Path) -> None:
    def score(p: Processes) -> SetScores | None:
        fake, real = open_images(str(by_class)), open_images(str(zipped_once))
        return score_sets(fake, real, own[p.rank], SETTINGS, p, by_class=True)

    zipped_once = zipped(by_class)
    own = [tiny_extractor() for _ in range(count)]
    alone = score(ALONE)
    lead, *others = on_ranks(count, score)
    assert lead == alone
    assert others == [None] * (count - 1)


def test_sets_without_or_with_other_classes_are_refused_by_class(by_class: Path, tmp_path: Path) -> None:
    plain = open_images(str(write_images(tmp_path / "plain", smooth_images(45, 0))))
    ours = open_images(str(by_class))
    write_images(tmp_path / "odd" / "cat", smooth_images(45, 0))
    odd = open_images(str(tmp_path / "odd"))
    for fake, real, message in (
        (plain, ours, "the samples have no classes"),
        (ours, odd, "'dog' is only among the samp"),
    ):
        with pytest.raises(UserError, match=message):
            score_sets(fake, real, tiny_extractor(), SETTINGS, by_class=True)
