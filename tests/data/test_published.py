import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torchvision import datasets

from mmgan.data import DATASETS, Images, check_dataset_name, load_images
from mmgan.errors import UserError


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


# ---- names, sizes and channels


def test_an_unknown_name_is_refused_with_the_nearest_or_all():
    with pytest.raises(UserError, match=r"did you mean fashion-mnist\?$"):
        load_images("fasion-mnist", ".")
    with pytest.raises(UserError, match=r'"xyzzy": choose from digits, mnist, .*folder:PATH'):
        load_images("xyzzy", ".")
    for name in ("folder:", "folder:PATH"[:6], ""):
        with pytest.raises(UserError):
            check_dataset_name(name)
    for name in (*DATASETS[:-1], "folder:x"):
        check_dataset_name(name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "unlabeled"}, 'no split "unlabeled": choose train or test'),
        ({"split": "validation"}, "no split"),
        ({"image_size": 0}, "at least 1 pixel"),
        ({"channels": 2}, "1 .grey. or 3 .RGB. channels, not 2"),
    ],
)
def test_what_cannot_be_had_is_refused(options: dict, message: str):
    with pytest.raises(UserError, match=message):
        load_images("digits", ".", **options)


# ---- digits


def test_digits_are_scikit_learns_split_once_for_all():
    train, test = load_images("digits", "."), load_images("digits", ".", split="test")
    assert (train.pixels.shape, test.pixels.shape) == ((1437, 1, 16, 16), (360, 1, 16, 16))
    assert train.classes == tuple("0123456789")
    counts = torch.bincount(test.labels)
    assert (counts - torch.bincount(torch.from_numpy(load_digits().target)) * 360 / 1797).abs().max() < 1
    assert int(train.pixels.max()) == 255
    # All originals are there, each in one of the two, enlarged as another implementation does it.
    originals = torch.from_numpy(load_digits().images)[:, None] * 255 / 16
    enlarged = torch.nn.functional.interpolate(originals.round(), (16, 16), mode="bilinear").flatten(1)
    distances = torch.cdist(enlarged, torch.cat([train.pixels, test.pixels]).double().flatten(1), p=float("inf"))
    nearest = distances.argmin(1)
    assert distances.amin(1).max() <= 1
    assert sorted(nearest.tolist()) == list(range(1797))
    labels = torch.cat([train.labels, test.labels])
    assert torch.equal(labels[nearest], torch.from_numpy(load_digits().target))


def test_digits_at_another_size_in_colour():
    images = load_images("digits", ".", image_size=32, channels=3)
    assert images.pixels.shape == (1437, 3, 32, 32)
    assert torch.equal(images.pixels[:, 0], images.pixels[:, 2])
    assert images.digest != load_images("digits", ".").digest


# ---- torchvision's layouts


def write_idx(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    path.write_bytes(bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes())


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_mnist_files(tmp_path: Path, name: str, folder: str):
    pixels, labels = {}, {}
    for seed, part in enumerate(("train", "t10k")):
        pixels[part], labels[part] = noise(20, 28, 28, seed=seed), noise(20, seed=seed) % 10
        write_idx(tmp_path / folder / f"raw/{part}-images-idx3-ubyte", pixels[part])
        write_idx(tmp_path / folder / f"raw/{part}-labels-idx1-ubyte", labels[part])
    for split, part in (("train", "train"), ("test", "t10k")):
        images = load_images(name, tmp_path, split=split)
        assert np.array_equal(images.pixels[:, 0].numpy(), pixels[part])
        assert np.array_equal(images.labels.numpy(), labels[part])
    at_32 = load_images(name, tmp_path, image_size=32).pixels
    assert np.array_equal(at_32[:, 0].numpy(), np.pad(pixels["train"], ((0, 0), (2, 2), (2, 2))))
    assert load_images(name, tmp_path, image_size=16, channels=3).pixels.shape == (20, 3, 16, 16)
    file = tmp_path / folder / "raw/train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(UserError, match=f"{folder}/raw is incomplete or damaged"):
        load_images(name, tmp_path)


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small files in the form of CIFAR-10 and -100, with torchvision's list of checksums brought in line."""

    def store(path: Path, content: dict) -> tuple[str, str]:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pickle.dumps(content))
        return path.name, md5(path)

    ten, hundred = tmp_path / "cifar-10-batches-py", tmp_path / "cifar-100-python"
    batches = [
        store(ten / f"data_batch_{i}", {"data": noise(6, 3072, seed=i), "labels": [i, 0, 1, 2, 3, 9]})
        for i in range(1, 6)
    ]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", batches)
    monkeypatch.setattr(
        datasets.CIFAR10, "test_list", [store(ten / "test_batch", {"data": noise(6, 3072, seed=9), "labels": [4] * 6})]
    )
    name, checksum = store(ten / "batches.meta", {"label_names": list("abcdefghij")})
    monkeypatch.setattr(datasets.CIFAR10, "meta", {"filename": name, "key": "label_names", "md5": checksum})
    fine = {"data": noise(4, 3072), "fine_labels": [99, 5, 0, 1], "coarse_labels": [0] * 4}
    monkeypatch.setattr(datasets.CIFAR100, "train_list", [store(hundred / "train", fine)])
    monkeypatch.setattr(datasets.CIFAR100, "test_list", [store(hundred / "test", fine)])
    name, checksum = store(hundred / "meta", {"fine_label_names": [f"n{i}" for i in range(100)]})
    monkeypatch.setattr(datasets.CIFAR100, "meta", {"filename": name, "key": "fine_label_names", "md5": checksum})
    return tmp_path


def test_cifar_files(cifar: Path):
    images = load_images("cifar10", cifar)
    assert images.pixels.shape == (30, 3, 32, 32)
    assert np.array_equal(images.pixels[6:12].flatten(1).numpy(), noise(6, 3072, seed=2))  # stored as R, G, B planes
    assert images.labels[:12].tolist() == [1, 0, 1, 2, 3, 9, 2, 0, 1, 2, 3, 9]
    assert images.classes == tuple("abcdefghij")
    assert load_images("cifar10", cifar, split="test").labels.tolist() == [4] * 6
    assert load_images("cifar10", cifar, channels=1, image_size=16).pixels.shape == (30, 1, 16, 16)
    hundred = load_images("cifar100", cifar)
    assert hundred.labels.tolist() == [99, 5, 0, 1]
    assert len(hundred.classes) == 100


def test_files_that_fail_the_checksum_are_refused_as_such_and_never_unpickled(cifar: Path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a file with a wrong checksum was unpickled",))

    (cifar / "cifar-10-batches-py/data_batch_3").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(UserError, match=r"cifar-10-batches-py .*fail torchvision's md5 check.*--download") as refusal:
        load_images("cifar10", cifar)
    assert "\n" not in str(refusal.value)


def test_svhn_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pixels = noise(32, 32, 3, 5)
    scipy.io.savemat(tmp_path / "train_32x32.mat", {"X": pixels, "y": np.array([[1], [10], [9], [2], [10]])})
    row = ["", "train_32x32.mat", md5(tmp_path / "train_32x32.mat")]
    monkeypatch.setattr(datasets.SVHN, "split_list", {"train": row, "test": ["", "test_32x32.mat", "0"]})
    images = load_images("svhn", tmp_path)
    assert np.array_equal(images.pixels.numpy(), pixels.transpose(3, 2, 0, 1))
    assert images.labels.tolist() == [1, 0, 9, 2, 0]  # the files call zero 10
    with pytest.raises(UserError, match=r"svhn was not found in .*test_32x32\.mat"):
        load_images("svhn", tmp_path, split="test")


def test_stl10_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    pixels = {name: noise(4, 3, 96, 96, seed=seed) for seed, name in enumerate(["train", "test", "unlabeled"])}
    for name, values in pixels.items():
        (folder / f"{name}_X.bin").write_bytes(values.transpose(0, 1, 3, 2).tobytes())  # column by column
        (folder / f"{name}_y.bin").write_bytes(bytes([1, 10, 3, 2]))
    (folder / "class_names.txt").write_text("\n".join("abcdefghij"))
    rows = {name: [f"{name}_X.bin", md5(folder / f"{name}_X.bin")] for name in pixels}
    marks = {name: [f"{name}_y.bin", md5(folder / f"{name}_y.bin")] for name in pixels}
    monkeypatch.setattr(datasets.STL10, "train_list", [rows["train"], marks["train"], rows["unlabeled"]])
    monkeypatch.setattr(datasets.STL10, "test_list", [rows["test"], marks["test"]])
    for split in pixels:
        images = load_images("stl10", tmp_path, split=split)
        assert np.array_equal(images.pixels.numpy(), pixels[split])
        assert images.split == split
        if split == "unlabeled":
            assert (images.labels, images.classes) == (None, ())
        else:
            assert images.labels.tolist() == [0, 9, 2, 1]
            assert images.classes == tuple("abcdefghij")
    assert load_images("stl10", tmp_path, image_size=48).pixels.shape == (4, 3, 48, 48)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("mnist", "MNIST/raw"),
        ("fashion-mnist", "FashionMNIST/raw"),
        ("cifar10", "cifar-10-batches-py"),
        ("cifar100", "cifar-100-python"),
        ("svhn", "train_32x32.mat"),
        ("stl10", "stl10_binary"),
        ("tiny-imagenet", "tiny-imagenet-200"),
    ],
)
def test_absent_data_name_the_folder_and_the_flags(tmp_path: Path, name: str, folder: str):
    with pytest.raises(UserError) as refusal:
        load_images(name, tmp_path)
    message = str(refusal.value)
    assert message.startswith(f"{name} was not found in {tmp_path / folder}: ")
    assert "--data-root" in message
    assert "--download" in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def unreachable(*_: object) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setattr(datasets.CIFAR10, "download", unreachable)
    with pytest.raises(UserError, match=r"cifar10 could not be downloaded to .*cifar-10-batches-py: no route to host"):
        load_images("cifar10", tmp_path, download=True)


# ---- Tiny ImageNet


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny-imagenet-200"
    for number, wnid in enumerate(("n02", "n01")):
        (folder / "train" / wnid / "images").mkdir(parents=True)
        (folder / "train" / wnid / f"{wnid}_boxes.txt").write_text("not an image")
        for i in range(2):
            Image.new("RGB", (64, 64), (number * 100,) * 3).save(folder / "train" / wnid / f"images/{wnid}_{i}.JPEG")
    (folder / "val/images").mkdir(parents=True)
    for i in range(3):
        Image.new("L", (64, 64), i * 50).save(folder / f"val/images/val_{i}.JPEG")
    rows = [f"val_{i}.JPEG\t{wnid}\t0\t0\t9\t9\n" for i, wnid in enumerate(("n02", "n01", "n02"))]
    (folder / "val/val_annotations.txt").write_text("".join(rows))
    return tmp_path


def test_tiny_imagenet_files(tiny: Path):
    train = load_images("tiny-imagenet", tiny)
    assert train.name == "tiny-imagenet"
    assert train.classes == ("n01", "n02")
    assert train.pixels.shape == (4, 3, 64, 64)
    assert [(int(image.max()), int(label)) for image, label in zip(train.pixels, train.labels, strict=True)] == [
        (100, 0),
        (100, 0),
        (0, 1),
        (0, 1),
    ]
    test = load_images("tiny-imagenet", tiny, split="test", image_size=32)
    assert test.labels.tolist() == [1, 0, 1]
    assert test.pixels.shape == (3, 3, 32, 32)
    assert test.pixels.amax((1, 2, 3)).tolist() == [0, 50, 100]


def test_tiny_imagenet_annotations_that_do_not_fit_are_refused(tiny: Path):
    annotations = tiny / "tiny-imagenet-200/val/val_annotations.txt"
    text = annotations.read_text()
    for change, message in (("n07", "class n07"), (None, "names images/val_9.JPEG")):
        annotations.write_text(text.replace("n01", change) if change else text.replace("val_1", "val_9"))
        with pytest.raises(UserError, match=message):
            load_images("tiny-imagenet", tiny, split="test")
    annotations.write_text(f"\n{text}  \n\n")
    assert len(load_images("tiny-imagenet", tiny, split="test").pixels) == 3
    for content, message in ((b"val_0.JPEG\n", "'val_0.JPEG' has no class"), (bytes(range(128, 256)), "is not a text")):
        annotations.write_bytes(content)
        with pytest.raises(UserError, match=message):
            load_images("tiny-imagenet", tiny, split="test")
    annotations.unlink()
    with pytest.raises(UserError, match="there is no file"):
        load_images("tiny-imagenet", tiny, split="test")


@pytest.mark.parametrize("name", ["../../elsewhere.JPEG", "/elsewhere.JPEG", "..", "deeper/val_0.JPEG"])
def test_tiny_imagenet_annotations_cannot_lead_outside(tiny: Path, name: str):
    folder = tiny / "tiny-imagenet-200/val"
    for path in (folder.parent / "elsewhere.JPEG", folder / "images/deeper/val_0.JPEG"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((folder / "images/val_0.JPEG").read_bytes())
    annotations = folder / "val_annotations.txt"
    annotations.write_text(annotations.read_text().replace("val_0.JPEG", name))
    with pytest.raises(UserError, match="which is no file of"):
        load_images("tiny-imagenet", tiny, split="test")


# ---- real data


def nearest_mean_accuracy(train: Images, test: Images) -> float:
    means = torch.stack([train.pixels[train.labels == c].float().mean(0).flatten() for c in range(len(train.classes))])
    return float((torch.cdist(test.pixels.float().flatten(1), means).argmin(1) == test.labels).float().mean())


@pytest.mark.parametrize(("name", "least"), [("mnist", 0.8), ("fashion-mnist", 0.65)])
def test_real_sets_have_their_size_and_labels_that_fit(real_data: Path, name: str, least: float):
    train, test = load_images(name, real_data), load_images(name, real_data, split="test")
    assert (train.pixels.shape, test.pixels.shape) == ((60000, 1, 28, 28), (10000, 1, 28, 28))
    assert torch.bincount(test.labels).shape == (10,)
    assert nearest_mean_accuracy(train, test) > least
