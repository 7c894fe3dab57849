"""Data sets of the Hub, by a stand-in of the package that reads them."""

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from mmgan.errors import UserError
from mmgan.scoring import open_images
from tests.support.scoring_images import smooth_images


class Picture:
    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class ClassLabel:
    names = ("cat", "dog")


class Table:
    """As much of a data set as is read: columns `picture` and `label`."""

    features: dict[str, Any] = {"picture": Picture(), "label": ClassLabel(), "id": object()}

    def __init__(self) -> None:
        self.images = smooth_images(6, 0)
        self.decode = True

    def __len__(self) -> int:
        return 6

    def cast_column(self, column: str, kind: Picture) -> "Table":
        assert column == "picture"
        self.decode = kind.decode
        return self

    def __getitem__(self, key: int | str) -> Any:
        if key == "label":
            return [0, 0, 1, 1, 0, 1]
        assert isinstance(key, int)
        assert not self.decode
        file = io.BytesIO()
        Image.fromarray(self.images[key].movedim(0, -1).numpy()).save(file, "PNG")
        return {"picture": {"bytes": file.getvalue(), "path": None}}


def package(load: Any) -> SimpleNamespace:
    config = lambda local_files_only: local_files_only  # noqa: E731
    return SimpleNamespace(load_dataset=load, Image=Picture, ClassLabel=ClassLabel, DownloadConfig=config)


def test_images_and_classes_of_a_split(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(name: str, split: str, download_config: bool) -> Table:
        asked.append((name, split, download_config))
        return Table()

    monkeypatch.setitem(sys.modules, "datasets", package(load))
    images = open_images("hf:someone/pets", split="test")
    assert asked == [("someone/pets", "test", True)]
    assert (images.name, images.split, images.count) == ("hf:someone/pets", "test", 6)
    assert torch.equal(images.read(2, 3), smooth_images(6, 0)[2:5])
    assert images.classes == ("cat", "cat", "dog", "dog", "cat", "dog")


def test_what_cannot_be_loaded_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Table:
        raise ConnectionError("no\nnetwork")

    monkeypatch.setitem(sys.modules, "datasets", package(fail))
    with pytest.raises(UserError, match=r"hf:a/b \(train\) cannot be loaded \(no network\); add --download"):
        open_images("hf:a/b")
    monkeypatch.setattr(Table, "features", {"id": object()})
    monkeypatch.setitem(sys.modules, "datasets", package(lambda *_, **__: Table()))
    with pytest.raises(UserError, match="has 0 columns of images and 6 rows"):
        open_images("hf:a/b")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install 'mmgan.datasets.'"):
        open_images("hf:a/b")
