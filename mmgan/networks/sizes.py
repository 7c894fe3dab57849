"""The image sizes that the GANs' networks exist for. Nothing here imports torch."""

STEP = 16
"""Sizes are the multiples of this number of pixels up to `LARGEST`."""

LARGEST = 256


def is_size(image_size: int) -> bool:
    """Whether generators and discriminators exist for images of this height and width in pixels."""
    return image_size % STEP == 0 and STEP <= image_size <= LARGEST


def nearest_size(pixels: float) -> int:
    """The size nearest to a number of pixels; of two equally near ones the larger."""
    return min(max(int(pixels / STEP + 0.5) * STEP, STEP), LARGEST)
