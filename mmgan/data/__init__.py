"""Data sets by name, in memory as uint8, and batches of them by step."""

from mmgan.data.batches import MEMORY_LIMIT, Batches, LoaderBatches, make_batches
from mmgan.data.given import given_images
from mmgan.data.images import Images, draw_balanced, draw_images, hold_out, make_images, split_validation
from mmgan.data.load import DATASETS, check_dataset_name, load_images
from mmgan.data.pixels import to_float, to_uint8

__all__ = [
    "DATASETS",
    "MEMORY_LIMIT",
    "Batches",
    "Images",
    "LoaderBatches",
    "check_dataset_name",
    "draw_balanced",
    "draw_images",
    "given_images",
    "hold_out",
    "load_images",
    "make_batches",
    "make_images",
    "split_validation",
    "to_float",
    "to_uint8",
]
