"""Sets of images to be scored: from files in a folder or an archive, or from pixels in memory."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import UInt8
from torch import Tensor
from tqdm.auto import tqdm

from mmgan.data import Images
from mmgan.data.decode import UnreadableImage, decode, ignoring_warnings, read_header
from mmgan.data.pixels import resized
from mmgan.errors import UserError
from mmgan.scoring.samples import Generate

T = TypeVar("T")

EXTENSIONS = ("png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff")
"""Of the files that count as images, in lower case; others are left aside."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images in a fixed order.

    Attributes:
        name: the folder, archive or data set.
        split: of a data set; else "folder", "zip" or "npz".
        count: how many there are.
        read: read(first, count) -> uint8 (n, c, h, w).
        classes: the class of each, by name; None where they have none.
        notes: what was done to the pixels that other readers may not do, a line each.
        images: the same in memory, where they are a data set.
    """

    name: str
    split: str
    count: int
    read: Generate
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    images: Images | None = None


@dataclass(frozen=True)
class Files:
    """Image files in the order in which they are scored.

    Attributes:
        place: the folder or archive.
        kind: "folder" or "zip".
        paths: of the files in it, with forward slashes.
        content: path -> the file's bytes; OSError where it cannot be read.
    """

    place: str
    kind: str
    paths: tuple[str, ...]
    content: Callable[[str], bytes]


def set_of_files(files: Files, image_size: int | None = None) -> ImageSet:
    """Images of files, as RGB and as training decodes them. The headers of all are read now, the pixels later.

    If every file lies in a first-level folder, these folders are the classes.

    Args:
        files: at least one.
        image_size: the centred square is resized to it; None: all images must have one size.

    Raises:
        UserError: for a file that is no image, or images of several sizes without an image size.
    """
    sizes: dict[tuple[int, int], str] = {}
    notes: Counter[str] = Counter()
    with ignoring_warnings():
        for path in tqdm(files.paths, desc="headers", unit="image", leave=False, disable=None):
            header = _checked(files, path, read_header, "is not a readable image")
            sizes.setdefault(header.size, path)
            notes.update(header.notes)
    if image_size is None and len(sizes) > 1:
        found = ", ".join(f"{w}x{h} ('{path}')" for (w, h), path in list(sizes.items())[:2])
        raise UserError(f"images in '{files.place}' differ in size, {found}: choose one with --image-size")
    count = len(files.paths)
    said = [f"{n} of {count} images in '{files.place}': {what}" for what, n in sorted(notes.items())]
    if image_size is not None and set(sizes) != {(image_size, image_size)}:
        said.append(
            f"images in '{files.place}': the centred square resized to {image_size} pixels, antialiased bilinear"
        )

    def read(first: int, count: int) -> UInt8[Tensor, "n 3 h w"]:
        with ignoring_warnings():
            paths = files.paths[first : first + count]
            pixels = [_checked(files, path, lambda data: decode(data, image_size, 3), "is damaged") for path in paths]
        return torch.stack([torch.from_numpy(image.copy()) for image in pixels])  # (n, 3, h, w)

    return ImageSet(files.place, files.kind, count, read, _classes(files.paths), tuple(said))


def set_of_images(images: Images) -> ImageSet:
    """A data set in memory."""
    classes = None if images.labels is None else tuple(images.classes[i] for i in images.labels.tolist())
    return ImageSet(images.name, images.split, len(images), _reader(images.pixels), classes, images=images)


def set_of_pixels(
    name: str, kind: str, pixels: UInt8[Tensor, "n c h w"], classes: Sequence[str] | None, image_size: int | None
) -> ImageSet:
    """Pixels in memory that are no data set.

    Raises:
        UserError: if they are to be resized and are not square.
    """
    height, width = pixels.shape[-2:]
    if image_size is not None and height != width:
        raise UserError(f"the images of '{name}' are {width}x{height}: --image-size is for square ones")
    return ImageSet(
        name, kind, len(pixels), _reader(resized(pixels, image_size)), None if classes is None else tuple(classes)
    )


def _reader(pixels: UInt8[Tensor, "n c h w"]) -> Generate:
    return lambda first, count: pixels[first : first + count]


def _checked(files: Files, path: str, work: Callable[[bytes], T], fault: str) -> T:
    try:
        return work(files.content(path))
    except (UnreadableImage, OSError) as error:
        raise UserError(f"'{files.place}/{path}' {fault} ({error}): remove or replace it") from error


def _classes(paths: Sequence[str]) -> tuple[str, ...] | None:
    """The first-level folder of each file, if all lie in one."""
    return tuple(path.split("/")[0] for path in paths) if all("/" in path for path in paths) else None
