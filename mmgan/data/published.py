"""The published data sets, read from files in the layout that torchvision writes, and scikit-learn's digits."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmgan.data.files import Form
from mmgan.data.image_folder import load_files
from mmgan.data.images import Images, stratified_choice
from mmgan.data.pixels import resized
from mmgan.draws import numpy_stream
from mmgan.errors import UserError

Raw = tuple[Tensor, Tensor | None, tuple[str, ...]]  # pixels (n, c, h, w), labels, classes

TORCHVISION = {  # name -> torchvision's class, and what it puts under the data root
    "mnist": ("MNIST", "MNIST/raw"),
    "fashion-mnist": ("FashionMNIST", "FashionMNIST/raw"),
    "cifar10": ("CIFAR10", "cifar-10-batches-py"),
    "cifar100": ("CIFAR100", "cifar-100-python"),
    "svhn": ("SVHN", "{split}_32x32.mat"),
    "stl10": ("STL10", "stl10_binary"),
}


def read_digits(split: str) -> Raw:
    """scikit-learn's 1,797 handwritten digits, resized from 8x8 to 16x16: 1,437 to train, 360 to test.

    The data come without a split; this one is stratified and fixed. scikit-learn's file is read without importing
    scikit-learn: the import takes longer than everything else at a run's start except torch.
    """
    package = find_spec("sklearn")
    assert package is not None  # a requirement of mmgan
    assert package.origin is not None
    table = np.loadtxt(Path(package.origin).parent / "datasets/data/digits.csv.gz", delimiter=",")  # (1797, 64 + 1)
    images, labels = table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)
    test = np.zeros(len(labels), bool)
    test[stratified_choice(labels, 360, numpy_stream(0, "digits"))] = True
    keep = test if split == "test" else ~test
    grey = np.rint(images[keep] * (255 / 16)).astype(np.uint8)  # 17 levels, 0 to 16
    pixels = resized(torch.from_numpy(grey)[:, None], 16)
    return pixels, torch.from_numpy(labels[keep]), tuple("0123456789")


def read_torchvision(name: str, root: Path, split: str, download: bool) -> Raw:
    """One of the sets in TORCHVISION, at its native size. With `download`, one process should be first.

    Raises UserError if the files are absent, fail torchvision's checksums, or cannot be read.
    """
    kind, place = TORCHVISION[name]
    where = root / place.format(split=split)
    if not download and not where.exists():
        raise UserError(
            f"{name} was not found in {where}: put it there, name another folder with --data-root, or add --download"
        )
    from torchvision import datasets  # imported where used: it takes two seconds

    try:
        # CIFAR's files are pickles, which can run code when read; torchvision checks their md5 before it opens them.
        named = {"split": split} if kind in ("SVHN", "STL10") else {"train": split == "train"}
        data = getattr(datasets, kind)(root, **named, download=download)
    except Exception as error:  # torchvision has no error of its own: RuntimeError, ValueError, AssertionError, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        if download:
            raise UserError(f"{name} could not be downloaded to {where}: {reason}") from error
        if isinstance(error, RuntimeError) and "corrupted" in reason:
            reason = "files are missing or fail torchvision's md5 check"
        raise UserError(
            f"{name} in {where} is incomplete or damaged ({reason}): put the original files there, or add --download"
        ) from error
    return _raw(name, data, split)


def _raw(name: str, data: Any, split: str) -> Raw:
    if name in ("mnist", "fashion-mnist"):
        # MNIST's names read "0 - zero"
        classes = tuple("0123456789") if name == "mnist" else tuple(data.classes)
        return data.data[:, None], data.targets, classes
    if name in ("cifar10", "cifar100"):
        pixels = torch.from_numpy(data.data.transpose(0, 3, 1, 2).copy())  # (n, h, w, c) -> (n, c, h, w)
        return pixels, torch.tensor(data.targets), tuple(data.classes)
    pixels = torch.from_numpy(np.ascontiguousarray(data.data))
    if split == "unlabeled":
        return pixels, None, ()
    labels = torch.from_numpy(np.asarray(data.labels)).long()
    return pixels, labels, tuple("0123456789") if name == "svhn" else tuple(data.classes)


def load_tiny_imagenet(root: Path, split: str, form: Form) -> Images:
    """Tiny ImageNet in its own layout, 64x64 RGB; "test" is its validation folder, as its test labels are not public.

    Raises UserError if the folder is absent, or the annotations do not fit the files.
    """
    name, folder = "tiny-imagenet", root / "tiny-imagenet-200"
    train = folder / "train"
    if not train.is_dir():
        raise UserError(
            f"{name} was not found in {folder}: unpack tiny-imagenet-200.zip there (it cannot be fetched by "
            "--download), or name another folder with --data-root"
        )
    classes = tuple(sorted(path.name for path in train.iterdir() if path.is_dir()))
    if split == "train":
        images = {
            f"{c}/images/{file.name}": c for c in classes for file in sorted((train / c / "images").glob("*.JPEG"))
        }
    else:
        train = folder / "val"
        annotations = train / "val_annotations.txt"
        if not annotations.is_file():
            raise UserError(f"{name}: there is no file {annotations}, which names the classes of the validation images")
        try:
            rows = [line.split("\t") for line in annotations.read_text("utf-8").splitlines() if line.strip()]
        except UnicodeDecodeError:
            raise UserError(f"{annotations} is not a text file: put the original there") from None
        if short := [row for row in rows if len(row) < 2]:
            raise UserError(f"{annotations} is damaged: '{short[0][0]}' has no class; put the original there")
        if outside := [row[0] for row in rows if Path(row[0]).name != row[0] or row[0] == ".."]:
            raise UserError(f"{annotations} names '{outside[0]}', which is no file of {train / 'images'}")
        images = {f"images/{row[0]}": row[1] for row in rows}
        for path, label in images.items():
            if label not in classes:
                raise UserError(
                    f"{annotations} gives {path} the class {label}, which is no folder of {folder / 'train'}"
                )
            if not (train / path).is_file():
                raise UserError(f"{annotations} names {path}, which is not in {train}")
    paths = sorted(images)
    labels = [classes.index(images[path]) for path in paths]
    form = replace(form, image_size=form.image_size or 64, channels=form.channels or 3)
    return load_files(name, split, train, paths, labels, classes, form)
