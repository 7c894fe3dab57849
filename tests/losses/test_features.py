"""Feature maps next to logits are not taken for logits."""

import pytest
import torch

from mmgan.errors import UserError
from mmgan.losses import GAN_LOSSES, generator_loss


@pytest.mark.parametrize("shape", [(4, 8, 5, 5), (4, 8, 20)])
def test_a_map_of_several_channels_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"no map of logits.*pick="):
        generator_loss(GAN_LOSSES["hinge"], (torch.zeros(4, 1), [torch.zeros(shape)]))


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 6), (4, 1, 3, 3), (4, 1, 20), (4, 20, 1)])
def test_logits_are_not(shape: tuple[int, ...]) -> None:
    assert generator_loss(GAN_LOSSES["hinge"], torch.ones(shape)).item() == -1
