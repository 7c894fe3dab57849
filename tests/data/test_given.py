"""Images that a Python program hands over: which forms are taken, and what is refused by name."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from mmgan.data import given_images
from mmgan.errors import UserError

LEVELS = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4).mul(2).to(torch.uint8)  # (2, 3, 4, 4), 0 .. 190
ARRAYS = [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in LEVELS]

FORMS: dict[str, Any] = {
    "a tensor": LEVELS,
    "a data set": TensorDataset(LEVELS),
    "tensors": list(LEVELS),
    "PIL": [Image.fromarray(array) for array in ARRAYS],
    "arrays": ARRAYS,
    "floats from 0": [image / 255 for image in LEVELS],
    "floats from -1": [image / 127.5 - 1 for image in LEVELS],
    "float64": [image.double() / 255 for image in LEVELS],
    "mappings": [{"image": image} for image in LEVELS],
    "a generator": (image for image in LEVELS),
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_of_the_same_images_are_equal(form: str) -> None:
    images = given_images(FORMS[form])
    assert torch.equal(images.pixels, LEVELS)
    assert images.labels is None
    assert images.digest == given_images(LEVELS).digest


def test_labels_classes_sizes_and_channels() -> None:
    named = TensorDataset(LEVELS, torch.tensor([2, 0]))
    assert given_images(named).classes == ("0", "1", "2")
    named.classes = ["cat", "dog", "owl"]
    images = given_images(named, image_size=8, channels=1)
    assert images.classes == ("cat", "dog", "owl")
    assert images.labels is not None
    assert images.labels.tolist() == [2, 0]
    assert images.pixels.shape == (2, 1, 8, 8)
    wide = [torch.zeros(4, 6, dtype=torch.uint8), torch.zeros(5, 4, dtype=torch.uint8)]
    assert given_images(wide, image_size=4).pixels.shape == (2, 1, 4, 4)
    mixed = [np.zeros((4, 4), np.uint8), ARRAYS[0]]
    assert given_images(mixed).pixels.shape == (2, 3, 4, 4)


class Augmented:
    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> torch.Tensor:
        return torch.rand(1, 4, 4)


REFUSED: dict[str, tuple[Any, str]] = {
    "a loader": (DataLoader(TensorDataset(LEVELS)), "data is a DataLoader"),
    "a number": (3, "data is a int"),
    "a mapping": ({"image": LEVELS}, "data is a dict"),
    "one image": (LEVELS[:1], "it holds 1 image, at least 2"),
    "batches": ([LEVELS, LEVELS], r"item 0 has shape \(2, 3, 4, 4\), not one image"),
    "channels first arrays": ([array.transpose(2, 0, 1) for array in ARRAYS], r"item 0 has shape \(4, 3, 4\)"),
    "words": (["a", "b"], "item 0 is a str"),
    "whole numbers": (LEVELS.long(), "item 0 has torch.int64 pixels"),
    "normalised": ([LEVELS[0] / 255, LEVELS[1] / 50 - 2], r"outside of \[-1, 1\]"),
    "NaN": ([LEVELS[0] / 255, torch.full((3, 4, 4), torch.nan)], "item 1 has values from nan"),
    "sizes": ([LEVELS[0], torch.zeros(3, 5, 5, dtype=torch.uint8)], "choose a size with image_size"),
    "three parts": ([(LEVELS[0], 1, 2)] * 2, "item 0 has 3 parts"),
    "no image key": ([{"img": LEVELS[0]}] * 2, "has the keys img, and none is 'image'"),
    "a label of text": ([(LEVELS[0], "cat")] * 2, "the label of item 0 is 'cat'"),
    "a negative label": ([(LEVELS[0], -1)] * 2, "the label of item 0 is -1"),
    "some labels": ([(LEVELS[0], 1), LEVELS[1]], "item 1 has no label"),
    "augmented": (Augmented(), "is another image each time"),
    "float PIL": ([Image.new("F", (4, 4))] * 2, "item 0 cannot be read: floating-point pixels"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_the_rest_is_refused_by_name(form: str) -> None:
    data, line = REFUSED[form]
    with pytest.raises(UserError, match=line):
        given_images(data)
