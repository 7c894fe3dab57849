"""The images of a run, as its settings describe them."""

from accelerate import Accelerator

from mmgan.config.shared import DataSettings
from mmgan.data import Images, load_images
from mmgan.errors import UserError
from mmgan.process.accelerator import main_process_first


def load_split(data: DataSettings, split: str, accelerator: Accelerator) -> Images:
    """Load one split; each machine's main process reads first, so that one download or cache serves all.

    Raises:
        UserError: for data that is absent, damaged or not available in this form.
    """
    with main_process_first(accelerator):
        return load_images(
            data.data,
            data.data_root,
            split=split,
            image_size=data.image_size,
            channels=data.channels,
            download=data.download,
            skip_bad_images=data.skip_bad_images,
        )


def image_shape(images: Images) -> dict[str, int]:
    """The number of channels, and the height and width in pixels, as {"channels": c, "image_size": s}.

    Raises:
        UserError: for images that are not square.
    """
    _, channels, height, width = images.pixels.shape
    if height != width:
        raise UserError(f"the images of {images.name} are {width}x{height}: choose a square with --image-size")
    return {"channels": channels, "image_size": height}
