import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mmgan.errors import UserError
from mmgan.scoring import Features, Reference, ScoreSettings, open_folder, score_features, score_folders
from tests.support.images import chunk, decoy_gs, eps_bytes, png_of
from tests.support.scoring_images import smooth_images, tiny_extractor, write_images

SETTINGS = ScoreSettings(splits=2, kid_subsets=3, kid_subset_size=20)


def test_scores_are_those_of_the_pixels(tmp_path: Path) -> None:
    a, b = smooth_images(70, 0), smooth_images(90, 1, 0.8, size=10)  # the folders may differ in size
    folders = write_images(tmp_path / "a", a), write_images(tmp_path / "b", b)
    extractor = tiny_extractor()
    scores, fakes, reals = score_folders(*folders, extractor, SETTINGS)
    assert (fakes, reals) == (70, 90)
    expected = score_features(extractor(a), Reference.of(extractor(b).features), SETTINGS, extractor="tiny")
    assert scores.values == pytest.approx(expected.values, rel=1e-4)


def test_images_are_found_below_the_folder_in_order_and_read_as_rgb(tmp_path: Path) -> None:
    images = smooth_images(4, 0)
    write_images(tmp_path / "a", images[:2])
    write_images(tmp_path / "a" / "below", images[2:])
    (tmp_path / "a" / "notes.txt").write_text("no image")
    found = open_folder(tmp_path / "a")
    assert (found.count, found.classes) == (4, None)
    assert torch.equal(found.read(1, 3), images[1:])
    grey = smooth_images(2, 1, channels=1)
    found = open_folder(write_images(tmp_path / "grey", grey))
    assert torch.equal(found.read(0, 2), grey.expand(-1, 3, -1, -1))
    Image.new("RGBA", (8, 8), (10, 20, 30, 40)).save(tmp_path / "grey" / "z.PNG")
    Image.new("RGB", (8, 8)).save(tmp_path / "grey" / "z.jpeg")
    last = open_folder(tmp_path / "grey").read(2, 2)
    assert last[0, :, 0, 0].tolist() == [217, 218, 220]  # transparency is laid on white


def test_folders_that_cannot_be_scored_are_refused_in_one_line(tmp_path: Path) -> None:
    good = write_images(tmp_path / "good", smooth_images(20, 0))
    (tmp_path / "empty").mkdir()
    one = write_images(tmp_path / "one", smooth_images(1, 0))
    mixed = write_images(tmp_path / "mixed", smooth_images(3, 0))
    Image.new("RGB", (9, 9)).save(mixed / "odd.png")
    fake_image = write_images(tmp_path / "text", smooth_images(20, 0))
    (fake_image / "bad.png").write_text("text")
    cases = {
        "absent": "is not a folder",
        "empty": "no image in",
        "one": "1 real images are too few",
        "mixed": "differ in size.*9x9",
        "text": "bad.png' is not a readable image",
    }

    def untouched(images: Tensor) -> Features:
        raise AssertionError("work was begun")

    extractor = tiny_extractor()
    extractor.__class__ = type("Idle", (type(extractor),), {"__call__": lambda self, images: untouched(images)})
    for name, message in cases.items():
        with pytest.raises(UserError, match=message) as caught:
            score_folders(good, tmp_path / name, extractor, SETTINGS)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="1 samples cannot make 2 IS splits"):
        score_folders(one, good, extractor, SETTINGS)


def test_other_forms_of_the_same_images_score_alike_and_are_counted(tmp_path: Path) -> None:
    real = write_images(tmp_path / "real", smooth_images(40, 1, 0.7, channels=1))
    plain = write_images(tmp_path / "plain", images := smooth_images(40, 0, channels=1))
    other = write_images(tmp_path / "other", images)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter, clockwise
    for i, image in enumerate(images[:3, 0].numpy()):
        Image.fromarray(image.astype(np.uint16) * 257).save(other / f"{i:03}.png")
    Image.fromarray(np.rot90(images[3, 0].numpy())).save(other / "003.png", exif=exif)
    expected, _, _ = score_folders(plain, real, tiny_extractor(), SETTINGS)
    scores, _, _ = score_folders(other, real, tiny_extractor(), SETTINGS)
    assert scores.values == expected.values
    assert scores.notes == (
        *expected.notes,
        f"3 of 40 images in '{other}': 16-bit greys scaled to 8 bits",
        f"1 of 40 images in '{other}': turned upright as EXIF says",
    )


def test_files_that_would_run_programs_or_fill_the_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = decoy_gs(tmp_path, monkeypatch)
    pixels = chunk(b"IDAT", zlib.compress(bytes(8 * 25)))
    for name, data in {
        "program": eps_bytes(),
        "pixels": png_of(20_000, 20_000, pixels),
        "warned": png_of(10_000, 10_000, pixels),  # Pillow itself only warns
        "text": png_of(8, 8, chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(50_000_000))), pixels),
    }.items():
        folder = write_images(tmp_path / name, smooth_images(20, 0))
        (folder / "bad.png").write_bytes(data)
        with pytest.raises(UserError, match=r"bad\.png' is not a readable image") as caught:
            score_folders(folder, folder, tiny_extractor(), SETTINGS)
        assert "\n" not in str(caught.value)
    assert not ran.exists()


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_a_truncated_image_is_named(keep: float, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "a", smooth_images(20, 0, size=32))
    broken = folder / "007.png"
    broken.write_bytes(broken.read_bytes()[: int(broken.stat().st_size * keep)])
    with pytest.raises(UserError, match=r"007\.png"):
        score_folders(folder, folder, tiny_extractor(), SETTINGS)
