"""Sets of images in a zip archive or an .npz file."""

import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from mmgan.errors import UserError
from mmgan.scoring.image_sets import EXTENSIONS, Files, ImageSet, set_of_files, set_of_pixels

LARGEST = 1 << 29
"""Bytes of one image file in an archive: what claims more is refused as a decompression bomb."""

LABELS = ("labels", "label", "arr_1")
"""Arrays of an .npz file that hold one class number an image."""

DAMAGED = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, KeyError, RuntimeError, NotImplementedError)
"""What zipfile and NumPy raise for damaged or encrypted archives."""


def open_zip(path: Path, image_size: int | None = None) -> ImageSet:
    """The images anywhere in a zip archive, in the order of their names. Nothing is unpacked.

    Raises:
        UserError: if it is no archive, holds no image, or one cannot be read.
    """
    try:
        archive = zipfile.ZipFile(path)
        entries = {i.filename: i for i in archive.infolist() if _is_image(i.filename)}
    except DAMAGED as error:
        raise UserError(f"'{path}' is not a readable zip archive ({_why(error)}): make it again") from error
    if not entries:
        raise UserError(f"no image in '{path}': it must hold files that end in .{', .'.join(EXTENSIONS)}")

    def content(name: str) -> bytes:
        if entries[name].file_size > LARGEST:
            raise OSError(f"it claims {entries[name].file_size:,} bytes, more than {LARGEST:,}")
        try:
            return archive.read(name)
        except DAMAGED as error:
            raise OSError(_why(error)) from error

    return set_of_files(Files(str(path), "zip", tuple(sorted(entries)), content), image_size)


def open_npz(path: Path, image_size: int | None = None) -> ImageSet:
    """The images of an .npz file: the one uint8 array of shape (n, h, w, c) or (n, c, h, w), with c = 1 or 3.

    A second array of n whole numbers, called labels or arr_1, holds their classes.

    Raises:
        UserError: if there is no such array, or it does not fit into memory.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays, zipfile.ZipFile(path) as archive:
            shapes = {name: _header(archive, f"{name}.npy") for name in arrays.files}
            names = [name for name, (shape, kind) in shapes.items() if len(shape) == 4 and kind == np.uint8]
            if len(names) != 1:
                found = ", ".join(f"{name} {kind} {shape}" for name, (shape, kind) in shapes.items())
                raise UserError(
                    f"'{path}' holds {found or 'nothing'}: it must hold one array of images, uint8 (n, height, width,"
                    " channels)"
                )
            shape, _ = shapes[names[0]]
            _check_memory(path, shape)
            pixels = _channels_first(path, torch.from_numpy(arrays[names[0]]))
            labels = next((name for name in LABELS if name in shapes and shapes[name][0] == shape[:1]), None)
            classes = None if labels is None else [str(label) for label in arrays[labels].tolist()]
    except UserError:
        raise
    except DAMAGED as error:
        raise UserError(f"'{path}' is not a readable .npz file ({_why(error)}): make it again") from error
    return set_of_pixels(str(path), "npz", pixels, classes, image_size)


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], Any]:
    """Shape and type of an array, without its content."""
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(file)
    return shape, kind


def _check_memory(path: Path, shape: tuple[int, ...]) -> None:
    wanted, memory = int(np.prod(shape, dtype=object)), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if wanted > memory // 2:
        raise UserError(
            f"'{path}' claims {wanted:,} bytes of images, more than half of this machine's memory: split it"
        )


def _channels_first(path: Path, pixels: UInt8[Tensor, "n a b d"]) -> UInt8[Tensor, "n c h w"]:
    if pixels.shape[-1] in (1, 3):
        return pixels.permute(0, 3, 1, 2)  # (n, h, w, c) -> (n, c, h, w)
    if pixels.shape[1] in (1, 3):
        return pixels
    raise UserError(f"'{path}' holds images {tuple(pixels.shape)}: give grey (1 channel) or RGB (3) images")


def _is_image(name: str) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
    return not hidden and name.lower().rpartition(".")[2] in EXTENSIONS and not name.endswith("/")


def _why(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)) or type(error).__name__
