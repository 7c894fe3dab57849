"""The real images that a protocol asks for."""

import pytest
import torch

from mmgan.config.gan import GanScoreSettings
from mmgan.config.shared import DataSettings
from mmgan.data import Images, make_images
from mmgan.errors import UserError
from mmgan.gan.scores import find_weights, real_subset


def images(count: int) -> Images:
    pixels = torch.arange(count, dtype=torch.uint8).view(count, 1, 1, 1).expand(count, 1, 8, 8)
    return make_images("noise", "train", pixels, torch.arange(count) % 4, tuple("abcd"))


def test_real_images_are_drawn_alike_each_time_and_balanced() -> None:
    wanted = GanScoreSettings(real_images=12)
    drawn = real_subset(images(100), wanted)
    assert drawn.labels is not None
    assert drawn.labels.bincount().tolist() == [3, 3, 3, 3]
    assert drawn.digest == real_subset(images(100), wanted).digest
    whole = images(100)
    assert real_subset(whole, GanScoreSettings()) is real_subset(whole, GanScoreSettings(real_images=100)) is whole


def test_too_few_real_images_are_refused() -> None:
    with pytest.raises(UserError, match="takes 10,000 real images, and noise"):
        real_subset(images(20), GanScoreSettings(protocol="test-10k"))


def test_the_judge_of_this_project_has_no_resizing() -> None:
    with pytest.raises(UserError, match="--resize clean is not for the extractor 'classifier'"):
        find_weights(GanScoreSettings(extractor="classifier", resize="clean"), DataSettings())
