import numpy as np
import pytest
import torch
from PIL import Image

from mmgan.data import to_float, to_uint8
from mmgan.data.pixels import padded, resized, with_channels
from mmgan.errors import UserError

LEVELS = torch.arange(256, dtype=torch.uint8)


def random_pixels(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def test_every_grey_level_comes_back_from_floats():
    floats = to_float(LEVELS)
    assert floats.dtype == torch.float32
    assert floats[0] == -1
    assert floats[-1] == 1
    assert torch.allclose(floats.diff(), torch.tensor(2 / 255))
    assert torch.equal(to_uint8(floats), LEVELS)


def test_floats_are_rounded_to_the_nearest_level_not_truncated():
    shift = 0.49 / 127.5
    assert torch.equal(to_uint8((to_float(LEVELS) + shift).clamp(-1, 1)), LEVELS)
    assert torch.equal(to_uint8((to_float(LEVELS) - shift).clamp(-1, 1)), LEVELS)


def test_values_out_of_range_are_clamped():
    assert to_uint8(torch.tensor([-7.0, 1.001, 300.0])).tolist() == [0, 255, 255]


def test_half_precision_is_quantised_as_its_float32_values():
    half = to_float(LEVELS).to(torch.bfloat16)
    assert torch.equal(to_uint8(half), to_uint8(half.float()))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused(bad: float):
    with pytest.raises(UserError, match="NaN or infinite"):
        to_uint8(torch.tensor([0.0, bad]))


def test_grey_is_pillows_luma_to_the_level():
    colour = random_pixels(5, 3, 7, 7)
    expected = [np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L")) for image in colour]
    assert np.array_equal(with_channels(colour, 1)[:, 0].numpy(), np.stack(expected))


def test_rgb_from_grey_repeats_it_and_nothing_asked_changes_nothing():
    grey = random_pixels(5, 1, 7, 7)
    assert all(torch.equal(with_channels(grey, 3)[:, [channel]], grey) for channel in range(3))
    assert with_channels(grey, None) is grey
    assert with_channels(grey, 1) is grey
    assert resized(grey, None) is grey


def test_resizing_down_averages_as_an_antialiased_filter_does():
    stripes = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    stripes[..., ::2] = 200  # aliased sampling would give 0 or 200
    middle = resized(stripes, 16)[..., 2:-2, 2:-2]
    assert (middle.int() - 100).abs().max() <= 12


def test_resizing_agrees_with_pillow_within_a_level_or_two():
    image = random_pixels(1, 1, 24, 24)
    expected = Image.fromarray(image[0, 0].numpy()).resize((16, 16), Image.Resampling.BILINEAR)
    assert (resized(image, 16)[0, 0].int() - torch.from_numpy(np.array(expected)).int()).abs().max() <= 2


def test_padding_centres_the_image_on_black():
    image = random_pixels(2, 1, 28, 28) | 1
    wide = padded(image, 32)
    assert torch.equal(wide[..., 2:30, 2:30], image)
    assert wide.count_nonzero() == image.count_nonzero()
