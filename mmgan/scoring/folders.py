"""Images to be scored, wherever they lie: a folder, an archive, or a data set by its name."""

from pathlib import Path

from mmgan.data import load_images
from mmgan.errors import UserError
from mmgan.scoring.archives import open_npz, open_zip
from mmgan.scoring.hub_sets import HUB, open_hub
from mmgan.scoring.image_sets import EXTENSIONS, Files, ImageSet, set_of_files, set_of_images


def open_folder(folder: Path | str, image_size: int | None = None) -> ImageSet:
    """The images anywhere below a folder, in the order in which torch-fidelity reads them.

    Raises:
        UserError: if there is no such folder, it holds no image, or one cannot be read; see `set_of_files`.
    """
    from torch_fidelity.utils import glob_samples_paths  # here: it takes three seconds

    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"'{folder}' is not a folder: name a folder of images")
    found = [Path(path) for path in glob_samples_paths(str(folder), True, ",".join(EXTENSIONS), verbose=False)]
    if not found:
        raise UserError(f"no image in '{folder}' or below it: name a folder of images")
    real = root.resolve()
    for path in found:
        if not path.is_relative_to(real):
            raise UserError(f"'{folder}' holds a link to '{path}', which lies outside: put the image itself there")
    paths = tuple(path.relative_to(real).as_posix() for path in found)
    return set_of_files(Files(str(folder), "folder", paths, lambda path: (root / path).read_bytes()), image_size)


def open_images(
    name: str,
    *,
    image_size: int | None = None,
    data_root: str = "data",
    split: str | None = None,
    download: bool = False,
) -> ImageSet:
    """Images by what a user names.

    Args:
        name: a folder, a .zip or .npz file, hf:OWNER/NAME on the Hugging Face Hub, or a data set as --data names it.
        image_size: height and width that the images are converted to; None: their own, which must be one.
        data_root: the folder of the data sets.
        split: of a data set; None: train.
        download: fetch a data set that is absent.

    Raises:
        UserError: if there is nothing of this name, or it cannot be read.
    """
    if name.startswith(HUB):
        return open_hub(name.removeprefix(HUB), split or "train", image_size, download=download)
    path = Path(name)
    is_file = path.suffix.lower() in (".zip", ".npz")
    if split is not None and (is_file or path.is_dir()):
        raise UserError(f"'{name}' has no split '{split}': only data sets have splits")
    if path.is_dir():
        return open_folder(name, image_size)
    if is_file and not path.is_file():
        raise UserError(f"there is no file '{name}'")
    if path.suffix.lower() == ".zip":
        return open_zip(path, image_size)
    if path.suffix.lower() == ".npz":
        return open_npz(path, image_size)
    if "/" in name and ":" not in name:
        raise UserError(f"'{name}' is not a folder, a .zip or .npz file, or a data set: name one that exists")
    return set_of_images(load_images(name, data_root, split=split or "train", image_size=image_size, download=download))
