"""Sets of images from Hugging Face's data sets."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from mmgan.errors import UserError
from mmgan.scoring.image_sets import Files, ImageSet, set_of_files

HUB = "hf:"


def open_hub(name: str, split: str, image_size: int | None = None, *, download: bool = False) -> ImageSet:
    """The images of one split of a data set of the Hub, with its classes where it has labels. No code of it is run.

    Args:
        name: OWNER/NAME.
        split: such as train.
        image_size: as for `set_of_files`.
        download: fetch it where the cache lacks it.

    Raises:
        UserError: if the package `datasets` is not installed, the data are absent, or have no column of images.
    """
    try:
        import datasets
    except ImportError as error:
        raise UserError(f"{HUB}{name} needs the package datasets: pip install 'mmgan[datasets]'") from error
    config = datasets.DownloadConfig(local_files_only=not download)
    try:
        data: Any = datasets.load_dataset(name, split=split, download_config=config)
    except Exception as error:  # the package raises whatever the Hub and its file formats make it
        why = " ".join(str(error).split())[:200]
        hint = "" if download else "; add --download to fetch it"
        raise UserError(f"{HUB}{name} ({split}) cannot be loaded ({why}){hint}") from error
    columns = [column for column, kind in data.features.items() if isinstance(kind, datasets.Image)]
    labels = [column for column, kind in data.features.items() if isinstance(kind, datasets.ClassLabel)]
    if len(columns) != 1 or not len(data):
        raise UserError(
            f"{HUB}{name} ({split}) has {len(columns)} columns of images and {len(data)} rows: one is needed"
        )
    kept = data.cast_column(columns[0], datasets.Image(decode=False))  # files, for the one decoder of this project

    def content(row: str) -> bytes:
        image = kept[int(row)][columns[0]]
        return bytes(image["bytes"]) if image["bytes"] is not None else Path(image["path"]).read_bytes()

    found = set_of_files(Files(f"{HUB}{name}", split, tuple(map(str, range(len(data)))), content), image_size)
    if len(labels) != 1:
        return found
    names = data.features[labels[0]].names
    return replace(found, classes=tuple(names[i] for i in data[labels[0]]))
