"""The data of a run, as its settings describe it."""

from accelerate import Accelerator

from mmgan.config.shared import DataSettings
from mmgan.data import Images, load_images
from mmgan.process.accelerator import main_process_first


def load_split(data: DataSettings, split: str, accelerator: Accelerator) -> Images:
    """One split; the main process of a machine reads first, so that one download or cache serves all.

    Raises:
        UserError: for data that is absent, damaged or cannot be had in this form.
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
