"""Images that a Python program hands over, in any data set or iterable, as `Images`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from mmgan.data.decode import GREY_MODES, UnreadableImage, pixels_of
from mmgan.data.images import Images, make_images
from mmgan.data.pixels import resized, to_uint8, with_channels
from mmgan.errors import UserError
from mmgan.faults import user_code

FORMS = (
    "an image is a PIL image, a uint8 array (h, w) or (h, w, c), or a tensor (h, w) or (c, h, w), uint8 or floating"
    " point in [0, 1] or [-1, 1]"
)
LOOKS = 8
"""Items that are read twice, to see whether the data set gives the same image again."""


def given_images(data: Any, *, image_size: int | None = None, channels: int | None = None) -> Images:
    """Read all items of a data set once, into memory.

    Args:
        data: a map-style data set, or any iterable. An item is an image, (image, label), or a mapping with "image" and
            perhaps "label"; a tensor or array of images has one image a row. Labels are whole numbers from 0.
        image_size: images are cut to their centred square and resized to it; None: they must be square and of one size.
        channels: 1 or 3, to which images are converted; None: 1 if all are grey, else 3.

    Returns:
        The images, with a digest over pixels and labels. Floating-point images are rounded to 256 levels. They count as
        [-1, 1] where any value of the data set lies below 0, else as [0, 1].

    Raises:
        UserError: for anything else, naming the item.
    """
    if isinstance(data, DataLoader):
        raise UserError("data is a DataLoader, which makes batches; mmgan makes its own: give its dataset")
    name = type(data).__name__
    items = []
    with user_code(name, "when its items were read"):
        for item in _items(data, name):
            items.append(item)
    if len(items) < 2:
        raise UserError(f"{name}: it holds {len(items)} image{'s' * (not items)}, at least 2 are needed")
    parts = [_parts(item, i, name) for i, item in enumerate(items)]
    labels = _labels([label for _, label in parts], name)
    images = [_tensor(image, i, name) for i, (image, _) in enumerate(parts)]
    low = min((float(image.min()) for image in images if image.is_floating_point()), default=0.0)
    grey = all(len(image) == 1 for image in images)
    wanted = channels or (1 if grey else 3)
    pixels = [
        _sized(with_channels(_levels(image, low, i, name)[None], wanted), image_size) for i, image in enumerate(images)
    ]
    _refuse_random(data, images, name)
    shapes = {tuple(image.shape[-2:]): i for i, image in enumerate(pixels)}
    if len(shapes) > 1 or next(iter(shapes))[0] != next(iter(shapes))[1]:
        (h, w), i = next(iter(shapes.items()))
        raise UserError(
            f"{name}: images must be square and of one size, but item {i} is {w}x{h}: choose a size with image_size"
        )
    classes = _classes(data, labels)
    return make_images(name, "train", torch.cat(pixels), labels, classes)


def _items(data: Any, name: str) -> Iterator[Any]:
    """Every item once; map-style data sets by index, since iterating one may never end."""
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, Mapping):
        return (data[i] for i in range(len(data)))
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes, Mapping)):
        return iter(data)
    raise UserError(f"data is a {name}: give a data set with len() and [i], an iterable of images, or a name as text")


def _refuse_random(data: Any, images: list[Tensor], name: str) -> None:
    """Random augmentation would be frozen as it came, and a resumed run would see other images."""
    if isinstance(data, Tensor | np.ndarray) or not hasattr(data, "__getitem__"):
        return
    for i in {len(images) * k // LOOKS for k in range(LOOKS)}:
        if not torch.equal(images[i], _tensor(_parts(data[i], i, name)[0], i, name)):
            raise UserError(
                f"{name}: item {i} is another image each time (random augmentation): leave that out; flip=True mirrors"
                " images in training"
            )


def _parts(item: Any, i: int, name: str) -> tuple[Any, Any]:
    """Image and label of an item."""
    if isinstance(item, Mapping):
        if "image" not in item:
            raise UserError(f"{name}: item {i} has the keys {', '.join(map(str, item))}, and none is 'image'")
        return item["image"], item.get("label")
    if isinstance(item, (tuple, list)):
        if not 1 <= len(item) <= 2:
            raise UserError(f"{name}: item {i} has {len(item)} parts: give an image, or (image, label)")
        return item[0], item[1] if len(item) == 2 else None
    return item, None


def _tensor(image: Any, i: int, name: str) -> Tensor:
    """An image as (c, h, w), uint8 or floating point."""
    if isinstance(image, Image.Image):
        try:
            image = torch.from_numpy(pixels_of(image, None, 1 if image.mode in GREY_MODES else 3).copy())
        except UnreadableImage as error:
            raise UserError(f"{name}: item {i} cannot be read: {error}") from None
    elif isinstance(image, np.ndarray):
        image = torch.from_numpy(np.array(image[..., None] if image.ndim == 2 else image))  # (h, w, c)
        image = image.permute(2, 0, 1) if image.dim() == 3 else image
    if not isinstance(image, Tensor):
        raise UserError(f"{name}: item {i} is a {type(image).__name__}: {FORMS}")
    image = image[None] if image.dim() == 2 else image
    if image.dim() != 3 or image.shape[0] not in (1, 3) or not image.numel():
        raise UserError(f"{name}: item {i} has shape {tuple(image.shape)}, not one image of 1 or 3 channels: {FORMS}")
    if image.dtype != torch.uint8 and not image.is_floating_point():
        raise UserError(f"{name}: item {i} has {image.dtype} pixels: {FORMS}")
    pixels: Tensor = image.detach().cpu()
    return pixels


def _levels(image: Tensor, low: float, i: int, name: str) -> UInt8[Tensor, "c h w"]:
    """Floating-point images as uint8; `low` is the lowest value in the data set."""
    if image.dtype == torch.uint8:
        return image
    least = -1 if low < 0 else 0
    if not bool(image.isfinite().all()) or float(image.min()) < least - 1e-4 or float(image.max()) > 1 + 1e-4:
        raise UserError(
            f"{name}: item {i} has values from {float(image.min()):.3g} to {float(image.max()):.3g}, outside of"
            f" [{least}, 1]: give images before they are normalised by mean and deviation"
        )
    return to_uint8(image if low < 0 else image * 2 - 1)


def _sized(pixels: UInt8[Tensor, "1 c h w"], size: int | None) -> UInt8[Tensor, "1 c s s"]:
    if size is None:
        return pixels
    h, w = pixels.shape[-2:]
    side = min(h, w)
    top, left = (h - side) // 2, (w - side) // 2
    return resized(pixels[..., top : top + side, left : left + side], size)


def _labels(found: list[Any], name: str) -> Tensor | None:
    with_one = [label is not None for label in found]
    if not any(with_one):
        return None
    if not all(with_one):
        raise UserError(f"{name}: item {with_one.index(False)} has no label, and others have one")
    for i, label in enumerate(found):
        single = isinstance(label, np.generic) or (isinstance(label, Tensor) and label.numel() == 1)
        plain = label.item() if single else label
        if isinstance(plain, bool) or not isinstance(plain, int) or plain < 0:
            raise UserError(f"{name}: the label of item {i} is {label!r}: labels are whole numbers from 0, classes")
        found[i] = plain
    return torch.tensor(found)


def _classes(data: Any, labels: Tensor | None) -> tuple[str, ...]:
    if labels is None:
        return ()
    count = int(labels.max()) + 1
    named = getattr(data, "classes", None)
    names = [str(word) for word in named] if isinstance(named, (list, tuple)) else []
    return tuple(names) if len(names) >= count else tuple(map(str, range(count)))
