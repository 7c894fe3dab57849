"""A data set by its name."""

from pathlib import Path

from mmgan.config.presets import GIVEN
from mmgan.data.files import Form
from mmgan.data.image_folder import load_folder
from mmgan.data.images import Images, make_images
from mmgan.data.pixels import padded, resized, with_channels
from mmgan.data.published import TORCHVISION, load_tiny_imagenet, read_digits, read_torchvision
from mmgan.errors import UserError, did_you_mean
from mmgan.memory import check_fits
from mmgan.storage import folder_of

DATASETS = ("digits", *TORCHVISION, "tiny-imagenet", "folder:PATH")


def check_dataset_name(name: str) -> None:
    """Raises UserError, with the nearest name or all of them, for a name that load_images does not know."""
    if name == GIVEN:
        raise UserError("the images of this run were handed over in Python: hand them over again, as data=")
    if name in DATASETS[:-1] or (name.startswith("folder:") and name != "folder:"):
        return
    raise UserError(f'there is no data set "{name}": {did_you_mean(name.lower(), DATASETS)}')


def load_images(
    name: str,
    root: str | Path,
    *,
    split: str = "train",
    image_size: int | None = None,
    channels: int | None = None,
    download: bool = False,
    skip_bad_images: bool = False,
) -> Images:
    """One split of the data set `name` (see DATASETS), as uint8 NCHW on the host.

    Args:
        root: the folder under which torchvision's layouts lie; unused for digits and `folder:PATH`.
        split: "train" or "test"; for stl10 also "unlabeled".
        image_size: height and width in pixels. None: 16 for digits, else the files' own. MNIST and Fashion-MNIST at
            32 are padded with black; everything else is resized with antialiased bilinear interpolation (images of a
            folder by their shorter side, and cut to the centred square).
        channels: 1 or 3, None for the files' own. Grey becomes RGB by repetition, RGB grey by ITU-R 601 luma.
        download: fetch missing data through torchvision. With several processes, let one finish first.
        skip_bad_images: skip and count unreadable files in a folder instead of raising an error.

    Raises:
        UserError: unknown name or split, absent or damaged data, an impossible size or number of channels.
    """
    check_dataset_name(name)
    if image_size is not None and image_size < 1:
        raise UserError(f"image_size must be at least 1 pixel, not {image_size}")
    if channels not in (None, 1, 3):
        raise UserError(f"images can have 1 (grey) or 3 (RGB) channels, not {channels}")
    form = Form(image_size, channels, skip_bad_images)
    if name.startswith("folder:"):
        return load_folder(name, folder_of(name), split, form)
    splits = ("train", "test", "unlabeled") if name == "stl10" else ("train", "test")
    if split not in splits:
        raise UserError(f'{name} has no split "{split}": choose {" or ".join(splits)}')
    root = Path(root)
    if name == "tiny-imagenet":
        return load_tiny_imagenet(root, split, form)
    pixels, labels, classes = read_digits(split) if name == "digits" else read_torchvision(name, root, split, download)
    if name in ("mnist", "fashion-mnist") and image_size == 32:
        pixels = padded(pixels, 32)  # as usual: strokes keep their sharpness
    if image_size is not None:
        need = len(pixels) * (channels or pixels.shape[1]) * image_size**2
        check_fits(need, f"images of {image_size} x {image_size} pixels", "--image-size")
    return make_images(name, split, resized(with_channels(pixels, channels), image_size), labels, classes)
