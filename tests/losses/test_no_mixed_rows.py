"""The baseline "none" has no mixed rows, and their loss is zero rather than the mean of nothing."""

import torch

from mmgan import RealFakePolicy
from mmgan.losses import GAN_LOSSES, discriminator_losses, mixed_loss


def test_without_mixed_rows_their_loss_is_zero() -> None:
    plan, hinge = RealFakePolicy("none").draw(3), GAN_LOSSES["hinge"]
    logits = torch.randn(6, 1, 2, 2, dtype=torch.bfloat16, requires_grad=True)
    real, fake, mixed = plan.split(logits)
    loss = mixed_loss(hinge, mixed, plan)
    assert loss.item() == 0
    assert loss.dtype == torch.float32
    losses = discriminator_losses(hinge, real, fake, mixed, plan)
    assert losses.total == losses.real + losses.fake
