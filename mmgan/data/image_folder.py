"""`folder:PATH`: a user's own images, nested as they like."""

import os
import stat
from pathlib import Path

import torch

from mmgan.data.cache import decoded, header_of
from mmgan.data.files import Form, Request, in_threads
from mmgan.data.images import Images, make_images
from mmgan.errors import UserError
from mmgan.storage import folder_of


def load_folder(name: str, folder: Path, split: str, form: Form) -> Images:
    """The images anywhere below `folder`, or below `folder`/train or /test if both exist.

    If every image lies in a first-level subfolder, these subfolders are the classes, in alphabetical order; a test
    split has the classes of its train split. Names that begin with a dot are ignored; every other file must be an
    image. `decode.decode` decodes the files, and `cache` caches them.

    Raises UserError for a missing or empty folder, a single image, a link that leads out of the folder, a file that
    is no image (unless skipped), a test class without training images, and a split the folder does not have.
    """
    if not folder.is_dir():
        raise UserError(f"{name}: there is no folder {folder}: name your images with --data folder:PATH")
    root = train = folder
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        if split not in ("train", "test"):
            raise UserError(f'{name} has no split "{split}": choose train or test')
        root, train = folder / split, folder / "train"
    elif split != "train":
        raise UserError(f'{name} has no split "{split}": put images into {folder}/train and {folder}/test')
    paths = find_files(root, folder)
    classes = _classes(paths if root == train else find_files(train, folder))
    labels = None
    if classes:
        if unknown := sorted({_class_of(path) for path in paths} - set(classes)):
            what = f"a class {unknown[0]}" if unknown[0] else "images outside every class"
            raise UserError(f"{root} holds {what}, and {train} does not")
        labels = [classes.index(_class_of(path)) for path in paths]
    return load_files(name, split, root, paths, labels, classes, form)


def folder_sizes(name: str) -> list[tuple[int, int]]:
    """(width, height) of every readable image of `name`'s training split, upright; nothing is decoded.

    Empty where `load_folder` refuses the folder.
    """
    folder = folder_of(name)
    if not folder.is_dir():
        return []
    root = folder / "train" if (folder / "train").is_dir() and (folder / "test").is_dir() else folder
    request = Request(root, tuple(find_files(root, folder)), Form(None, None, skip_bad_images=True))
    return [header.size for header in in_threads(header_of, request) if header is not None]


def load_files(
    name: str,
    split: str,
    root: Path,
    paths: list[str],
    labels: list[int] | None,
    classes: tuple[str, ...],
    form: Form,
) -> Images:
    """The given files below `root` as Images, through the cache; files left out lose their labels with them.

    Raises UserError if fewer than two images are left.
    """
    if not paths:
        raise UserError(f"{name}: there are no images in {root}")
    pixels, bad = decoded(Request(root, tuple(paths), form))
    if len(pixels) < 2:
        raise UserError(
            f"{name}: {root} holds {len(pixels)} readable image{'s' * (not len(pixels))}, at least 2 are needed"
        )
    kept = None
    if labels is not None:
        kept = torch.tensor([label for path, label in zip(paths, labels, strict=True) if path not in bad])
    return make_images(name, split, pixels, kept, classes, skipped=len(bad))


def find_files(root: Path, inside: Path) -> list[str]:
    """All files below `root`, as sorted relative paths with forward slashes; names with a leading dot are ignored.

    Raises UserError for links that lead out of `inside` or to a folder, broken links, and what is no regular file.
    """
    limit = inside.resolve()
    if not root.resolve().is_relative_to(limit):
        raise UserError(f"{root} is a link that leads out of {inside}: put the images themselves there")
    found: list[str] = []
    folders = [""]
    while folders:
        below = folders.pop()
        try:
            entries = list(os.scandir(root / below))
        except OSError as error:
            raise UserError(f"{root / below} cannot be listed: {error.strerror}") from None
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{below}{entry.name}"
            if entry.is_symlink():
                _check_link(root / path, inside, limit)
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{path}/")
            elif stat.S_ISREG(entry.stat().st_mode):
                found.append(path)
            else:
                raise UserError(f"{root / path} is neither a file nor a folder: remove it")
    return sorted(found)


def _check_link(link: Path, inside: Path, limit: Path) -> None:
    target = Path(os.path.realpath(link))  # Path.resolve raises on links in a circle
    if not target.is_relative_to(limit):
        raise UserError(f"{link} is a link that leads out of {inside}: put the image itself there, or remove the link")
    if not target.is_file():
        raise UserError(f"{link} is a link to {'a folder' if target.exists() else 'nothing'}: remove it")


def _classes(paths: list[str]) -> tuple[str, ...]:
    firsts = {_class_of(path) for path in paths}
    return () if "" in firsts else tuple(sorted(firsts))


def _class_of(path: str) -> str:
    """The first-level folder; empty for a file that lies in none."""
    return path.partition("/")[0] if "/" in path else ""
