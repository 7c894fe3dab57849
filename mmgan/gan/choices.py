"""Settings that a run chooses itself, from its images and from what is installed, and says aloud."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from mmgan.config.gan import GanScoreSettings
from mmgan.config.shared import DataSettings
from mmgan.data import Images, check_dataset_name
from mmgan.data.image_folder import folder_sizes
from mmgan.errors import UserError
from mmgan.networks.sizes import is_size, nearest_size
from mmgan.scoring import extractor_source

AUTO = "auto"
"""The extractor of FID where its weights are found, else no scores."""

CHOSEN_AT_MOST = 64
"""Pixels; larger sizes train for days, so they are for the user to choose."""


def choose_settings(
    data: DataSettings, score: GanScoreSettings, *, own: bool, given: Images | None = None
) -> tuple[DataSettings, GanScoreSettings, list[str]]:
    """Choose the image size and the extractor where they are left open, and return a line about each choice.

    Args:
        data: the settings of the training images.
        score: the settings of the scores.
        own: whether a network is the user's. It may exist for other sizes than ours, so no size is chosen.
        given: images that a Python program hands over. They have their size, so none is chosen.

    Raises:
        UserError: for data that does not exist.
    """
    said_of_size = list[str]()
    if given is None:
        check_dataset_name(data.data)
    if given is None and not own:
        data, said_of_size = choose_image_size(data)
    score, said_of_scores = choose_extractor(score, download=data.download)
    return data, score, said_of_size + said_of_scores


def choose_image_size(data: DataSettings) -> tuple[DataSettings, list[str]]:
    """Choose a size that the networks exist for, for a folder of images without --image-size.

    Images of one square size that the networks exist for keep it. Others get the size nearest to the median of their
    shorter sides, at most `CHOSEN_AT_MOST`.
    """
    if not data.data.startswith("folder:") or data.image_size is not None:
        return data, []
    sizes = folder_sizes(data.data)
    if not sizes:  # reading the images says why
        return data, []
    if size_of_all(sizes) is not None:
        return data, [f"image size {sizes[0][0]}, the images' own; --image-size sets another"]
    size = min(nearest_size(median(min(pair) for pair in sizes)), CHOSEN_AT_MOST)
    small, large = min(sizes, key=min), max(sizes, key=min)
    line = (
        f"image size {size}, chosen for images from {small[0]}x{small[1]} to {large[0]}x{large[1]} pixels, cut to their"
        " centred square; --image-size sets another"
    )
    return replace(data, image_size=size), [line]


def size_of_all(sizes: Sequence[tuple[int, int]]) -> int | None:
    """The height and width of all images where they are one, and the networks exist for it."""
    width, height = sizes[0]
    return width if set(sizes) == {(width, width)} and width == height and is_size(width) else None


def choose_extractor(score: GanScoreSettings, *, download: bool) -> tuple[GanScoreSettings, list[str]]:
    """With --extractor auto: the extractor of FID where its weights are found or may be downloaded, else no scores."""
    if score.extractor != AUTO:
        return score, []
    score = replace(score, extractor="inception")
    if not score.score_every:
        return score, []
    try:
        extractor_source(score.extractor).find(score.extractor_weights, download=download)
    except UserError as error:
        return replace(score, score_every=0), [f"no scores: {error}"]
    return score, []
