import io
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mmgan.data.cache as cache_module
import mmgan.data.files as files_module
from mmgan.data import Images, load_images, make_batches
from mmgan.errors import UserError
from mmgan.storage import cache_folder


def paint(path: Path, level: int = 0, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, level if mode == "L" else (level, level, level)).save(path)


def load(path: Path, **options: object) -> Images:
    return load_images(f"folder:{path}", ".", **options)


def levels(images: Images) -> list[int]:
    return images.pixels[:, 0, 0, 0].tolist()


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    folder = tmp_path / "pets"
    for level, name in enumerate(["dog/1.png", "cat/2.png", "cat/deep/er/1.png", "cat/1.png", "dog/2.bmp"]):
        paint(folder / name, level)
    paint(folder / ".thumbnails/1.png", 99)
    (folder / "cat/.DS_Store").write_text("hidden")
    return folder


def aged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the files had been there for an hour."""
    monkeypatch.setattr(files_module, "SETTLED", -3600.0)


def test_first_level_folders_are_the_classes(pets: Path):
    images = load(pets)
    assert images.name == f"folder:{pets}"
    assert images.pixels.shape == (5, 3, 8, 8)
    assert images.classes == ("cat", "dog")
    assert levels(images) == [3, 1, 2, 0, 4]  # in the order of the paths
    assert images.labels.tolist() == [0, 0, 0, 1, 1]
    assert images.skipped == 0


def test_one_image_outside_every_folder_means_no_labels(pets: Path):
    paint(pets / "stray.png", 7)
    images = load(pets)
    assert images.labels is None
    assert images.classes == ()
    assert len(images) == 6


def test_train_and_test_folders_are_the_splits_with_one_set_of_classes(tmp_path: Path):
    for level, name in enumerate(["train/a/1.png", "train/b/1.png", "train/c/1.png", "test/c/1.png", "test/b/1.png"]):
        paint(tmp_path / name, level)
    assert levels(load(tmp_path)) == [0, 1, 2]
    test = load(tmp_path, split="test")
    assert test.classes == ("a", "b", "c")
    assert test.labels.tolist() == [1, 2]  # not 0 and 1, as counted within the test folder
    with pytest.raises(UserError, match="choose train or test"):
        load(tmp_path, split="unlabeled")
    paint(tmp_path / "test/d/1.png")
    with pytest.raises(UserError, match="holds a class d, and"):
        load(tmp_path, split="test")
    paint(tmp_path / "test/1.png")
    with pytest.raises(UserError, match="holds images outside every class"):
        load(tmp_path, split="test")


def test_a_split_that_is_not_there_is_refused(pets: Path):
    with pytest.raises(UserError, match=r"pets/train and .*pets/test"):
        load(pets, split="test")


def test_native_size_and_channels_are_what_all_files_share(tmp_path: Path):
    for name in ("1.png", "2.png"):
        paint(tmp_path / name, 5, (12, 12), "L")
    assert load(tmp_path).pixels.shape == (2, 1, 12, 12)
    assert load(tmp_path, channels=3).pixels.shape == (2, 3, 12, 12)
    assert load(tmp_path, image_size=6).pixels.shape == (2, 1, 6, 6)
    paint(tmp_path / "3.png", 5, (12, 12), "RGB")
    assert load(tmp_path).pixels.shape == (3, 3, 12, 12)
    paint(tmp_path / "4.png", 5, (12, 14), "RGB")
    with pytest.raises(UserError, match=r"4.png is 12 x 14 pixels and 1.png 12 x 12: .*--image-size"):
        load(tmp_path)
    assert load(tmp_path, image_size=16).pixels.shape == (4, 3, 16, 16)


@pytest.mark.parametrize("size", [None, 8])
def test_a_bad_file_is_named_or_skipped_and_counted(pets: Path, size: int | None):
    (pets / "cat/2.png").write_bytes((pets / "cat/2.png").read_bytes()[:45])
    (pets / "dog/notes.txt").write_text("woof")
    options = {"image_size": size}
    with pytest.raises(UserError, match=r"cat/2\.png is not a readable image .*--skip-bad-images") as refusal:
        load(pets, **options)
    assert "\n" not in str(refusal.value)
    images = load(pets, skip_bad_images=True, **options)
    assert images.skipped == 2
    assert levels(images) == [3, 2, 0, 4]
    assert images.labels.tolist() == [0, 0, 1, 1]
    with pytest.raises(UserError, match=r"cat/2\.png"):  # now from the cache
        load(pets, **options)


def test_decompression_bombs_are_named_and_skipped(pets: Path, monkeypatch: pytest.MonkeyPatch):
    paint(pets / "dog/3.png", 9, (20, 20))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)  # Pillow only warns below 600
    with pytest.raises(UserError, match=r"dog/3\.png is not a readable image .*bomb"):
        load(pets, image_size=8)
    assert load(pets, image_size=8, skip_bad_images=True).skipped == 1


@pytest.mark.parametrize("skip", [False, True])
def test_links_out_of_the_folder_are_refused(pets: Path, tmp_path: Path, skip: bool):
    paint(tmp_path / "elsewhere/1.png")
    link = pets / "cat/link.png"
    link.symlink_to(tmp_path / "elsewhere/1.png")
    with pytest.raises(UserError, match=r"cat/link\.png is a link that leads out"):
        load(pets, skip_bad_images=skip)
    link.unlink()
    (pets / "mice").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(UserError, match="mice is a link that leads out"):
        load(pets, skip_bad_images=skip)


def test_a_split_that_links_elsewhere_is_refused(pets: Path, tmp_path: Path):
    both = tmp_path / "both"
    paint(both / "test/cat/1.png")
    (both / "train").symlink_to(pets, target_is_directory=True)
    with pytest.raises(UserError, match="both/train is a link"):
        load(both)


def test_links_within_the_folder(pets: Path, tmp_path: Path):
    (pets / "cat/3.png").symlink_to(pets / "dog/1.png")
    assert levels(load(pets)) == [3, 1, 0, 2, 0, 4]
    (tmp_path / "also").symlink_to(pets, target_is_directory=True)
    assert len(load(tmp_path / "also")) == 6  # the folder itself may be a link
    (pets / "loop").symlink_to(pets, target_is_directory=True)
    with pytest.raises(UserError, match="loop is a link to a folder"):
        load(pets)
    (pets / "loop").unlink()
    for target in ("nowhere", "cat/4.png"):  # the second in a circle
        (pets / "cat/4.png").unlink(missing_ok=True)
        (pets / "cat/4.png").symlink_to(pets / target)
        with pytest.raises(UserError, match=r"cat/4\.png is a link to nothing"):
            load(pets)


def test_a_file_name_that_is_no_text(pets: Path):
    (pets / "cat/1.png").rename(pets / os.fsdecode(b"cat/\xff.png"))
    assert levels(load(pets)) == [1, 2, 3, 0, 4]


def test_a_pipe_is_named_and_not_waited_for(pets: Path):
    os.mkfifo(pets / "cat/pipe.png")
    with pytest.raises(UserError, match=r"cat/pipe\.png is neither"):
        load(pets)


def test_too_few_images_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match="no folder"):
        load(tmp_path / "absent")
    with pytest.raises(UserError, match="there are no images"):
        load(tmp_path)
    paint(tmp_path / "1.png")
    with pytest.raises(UserError, match="1 readable image, at least 2"):
        load(tmp_path)
    (tmp_path / "1.png").write_text("broken")
    with pytest.raises(UserError, match="0 readable images, at least 2"):
        load(tmp_path, skip_bad_images=True)


def test_the_cache_spares_decoding_and_gives_the_same(pets: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    first = load(pets)
    monkeypatch.setattr(cache_module, "decode", None)  # would fail
    second = load(pets)
    assert second.digest == first.digest
    assert second.labels.tolist() == first.labels.tolist()
    moved = pets.rename(pets.with_name("moved"))
    assert load(moved).digest == first.digest  # keyed by content, not by place
    assert sorted(path.suffix for path in (cache / "images").iterdir()) == [".json", ".u8"]


def test_batches_read_straight_from_the_cache_file(pets: Path):
    images = load(pets)
    streamed, held = (make_batches(images, 3, seed=0, flip=True, memory_limit=limit) for limit in (0, 2**20))
    for step in range(3):
        assert all(torch.equal(a, b) for a, b in zip(streamed.batch(step), held.batch(step), strict=True))


def test_an_old_folder_is_not_even_read(pets: Path, monkeypatch: pytest.MonkeyPatch):
    aged(pets, monkeypatch)
    first = load(pets)
    small = load(pets, image_size=4)
    monkeypatch.setattr(files_module, "_sha256", None)
    assert load(pets).digest == first.digest
    assert load(pets, image_size=4).digest == small.digest != first.digest


def test_a_bad_file_that_is_renamed_is_named_anew(pets: Path):
    (pets / "dog/1.png").write_text("broken")
    assert levels(load(pets, skip_bad_images=True)) == [3, 1, 2, 4]
    (pets / "dog/1.png").rename(pets / "dog/0.png")
    assert load(pets, skip_bad_images=True).labels.tolist() == [0, 0, 0, 1]
    with pytest.raises(UserError, match=r"dog/0\.png"):
        load(pets)


def test_a_young_folder_is_read_again(pets: Path, cache: Path):
    load(pets)
    assert not list((cache / "images").glob("*.stamp"))


def test_a_change_that_keeps_size_and_time_is_seen(pets: Path, monkeypatch: pytest.MonkeyPatch):
    aged(pets, monkeypatch)
    first = load(pets)
    path = pets / "dog/2.bmp"  # not compressed: the same size for any level
    before = path.stat()
    time.sleep(0.02)  # beyond the clock's grain, as an aged folder's files are
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (77, 77, 77)).save(buffer, "BMP")
    path.write_bytes(buffer.getvalue())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert levels(load(pets)) == [*levels(first)[:-1], 77]


def test_added_removed_and_renamed_files_are_seen(pets: Path, monkeypatch: pytest.MonkeyPatch):
    aged(pets, monkeypatch)
    load(pets)
    paint(pets / "cat/9.png", 9)
    assert levels(load(pets)) == [3, 1, 9, 2, 0, 4]
    (pets / "cat/9.png").rename(pets / "dog/9.png")
    assert load(pets).labels.tolist() == [0, 0, 0, 1, 1, 1]
    shutil.rmtree(pets / "dog")
    assert load(pets).classes == ("cat",)


def test_files_that_change_while_they_are_read_are_refused(pets: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    def decode(data: bytes, image_size: int | None, channels: int) -> np.ndarray:
        paint(pets / "dog/1.png", 50)
        return np.zeros((channels, 8, 8), np.uint8)

    monkeypatch.setattr(cache_module, "decode", decode)
    with pytest.raises(UserError, match="changed while they were read"):
        load(pets)
    assert not list((cache / "images").glob("*.json"))  # so that the pixels are not taken for the old files'


@pytest.mark.parametrize("harm", ["flip", "cut", "no json", "odd json", "odd files", "other files", "no pixels"])
def test_a_damaged_cache_is_made_again(pets: Path, cache: Path, harm: str):
    first = load(pets)
    expected = first.pixels.clone()
    pixels, entry = (next((cache / "images").glob(f"*.{kind}")) for kind in ("u8", "json"))
    data = bytearray(pixels.read_bytes())
    if harm == "flip":
        data[100] ^= 1
        pixels.unlink()  # not in place: `first` is still mapped to it
        pixels.write_bytes(data)
    elif harm == "cut":
        pixels.unlink()
        pixels.write_bytes(data[:-1])
    elif harm == "no json":
        entry.unlink()
    elif harm == "odd json":
        entry.write_text(json.dumps({"shape": [5]}))
    elif harm == "odd files":
        entry.write_text(json.dumps(json.loads(entry.read_text()) | {"bad": None}))
    elif harm == "other files":
        entry.write_text(json.dumps(json.loads(entry.read_text()) | {"bad": {"cat/1.png": "it is not there"}}))
    else:
        pixels.unlink()
    assert np.array_equal(load(pets).pixels.numpy(), expected.numpy())


def test_an_interrupted_decoding_leaves_nothing(pets: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    (pets / "dog/1.png").write_text("broken")
    with pytest.raises(UserError):
        load(pets)
    assert list((cache / "images").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(pets: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MMGAN_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="set MMGAN_CACHE to a writable folder"):
        load(pets)


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MMGAN_CACHE", "/own")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/own")
    monkeypatch.delenv("MMGAN_CACHE")
    assert cache_folder() == Path("/xdg/mmgan")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache/mmgan"


@pytest.mark.slow(1)
def test_real_jpegs(real_data: Path, tmp_path: Path):
    chosen = sorted((real_data / "cifar10-jpeg/train").glob("*/*"))[::300]
    for path in chosen:
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / path.parent.name)
    images = load(tmp_path)
    assert images.pixels.shape == (len(chosen), 3, 32, 32)
    assert len(images.classes) == 10
    for pixels, label, path in zip(images.pixels, images.labels, chosen, strict=True):
        assert np.array_equal(pixels.permute(1, 2, 0).numpy(), np.asarray(Image.open(path)))
        assert images.classes[label] == path.parent.name
