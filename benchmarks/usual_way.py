"""The same GAN training as mmgan's trainer, written the usual way. "Times faster" is measured against it.

* Real, fake and mixed rows go through the discriminator in separate passes. The hidden states to mix are recomputed.
* Fakes are made with a graph, which `detach` then cuts off.
* The discriminator is not frozen in the generator's step.
* Each convolution and each change of size is a layer of its own.
* Tensors are contiguous.
"""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmgan.config.gan import GanTrainingSettings
from mmgan.data import Batches
from mmgan.discriminators.blocks import FirstBlock
from mmgan.draws import torch_stream
from mmgan.mixing.plan import NO_LAYER, PIXEL, MixPlan
from mmgan.mixing.policies import RealFakePolicy
from mmgan.networks.rescaling import DoublingConv, HalvingConv


class UsualWay:
    """JSGAN with Equation 6 of the paper for a `ResNetDiscriminator`, without learning-rate decay.

    Attributes:
        generator, discriminator: the networks, changed in place.
        opt_g, opt_d: Adam with torch's defaults.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        batches: Batches,
        policy: RealFakePolicy,
        settings: GanTrainingSettings,
        seed: int,
        device: torch.device | str,
    ) -> None:
        self.generator, self.discriminator = plain(generator), plain(discriminator)
        self.batches, self.policy, self.settings, self.seed, self.device = batches, policy, settings, seed, device
        adam = {"lr": settings.lr, "betas": (settings.beta1, settings.beta2)}
        self.opt_g = torch.optim.Adam(generator.parameters(), **adam)
        self.opt_d = torch.optim.Adam(discriminator.parameters(), **adam)

    def iteration(self, step: int) -> tuple[Tensor, Tensor]:
        """Run n_dis discriminator steps and one generator step.

        Returns:
            The discriminator's mean loss and the generator's loss.
        """
        b, n_dis = self.settings.batch_size, self.settings.n_dis
        losses = []
        for d_step in range(step * n_dis, (step + 1) * n_dis):
            real, _ = self.batches.batch(d_step)
            fake = self.generator(self._latents("latents of d", d_step, b)).detach()
            plan = self.policy.draw(b, d_step, self.seed, device=self.device)
            loss = discriminator_loss(self.discriminator, real, fake, plan)
            self.opt_d.zero_grad()
            loss.backward()
            self.opt_d.step()
            losses.append(loss.detach())
        fake = self.generator(self._latents("latents of g", step, b * self.settings.g_batch_factor))
        loss_g = F.softplus(-self.discriminator(fake)).mean()
        self.opt_g.zero_grad()
        loss_g.backward()
        self.opt_g.step()
        return torch.stack(losses).mean(), loss_g.detach()

    def _latents(self, purpose: str, step: int, count: int) -> Tensor:
        stream = torch_stream(self.seed, purpose, 0, step, self.device)
        return torch.randn(count, self.generator.latent_dim, generator=stream, device=self.device)


def discriminator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor, plan: MixPlan) -> Tensor:
    """Compute Equation 6 with separate passes for real, fake and mixed rows."""
    loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake)).mean()
    if plan.layer == NO_LAYER:
        return loss
    stages = dict(discriminator.named_children())
    mixed_at = list(stages).index(f"block{plan.layer}") + 1 if plan.layer != PIXEL else 0
    h_real, h_fake = real, fake
    for stage in list(stages.values())[:mixed_at]:
        h_real, h_fake = stage(h_real), stage(h_fake)
    h = torch.cat([h_real, h_fake])  # (2b, c, h, w)
    lam = plan.lam.to(h.dtype)
    weight = lam.view(-1, 1, 1, 1)  # (b, 1, 1, 1)
    h = weight * h[plan.left] + (1 - weight) * h[plan.right]  # (b, c, h, w)
    for stage in list(stages.values())[mixed_at:]:
        h = stage(h)
    is_real = (torch.arange(2 * len(real), device=h.device) < len(real)).to(h.dtype)  # (2b,)
    y = lam * is_real[plan.left] + (1 - lam) * is_real[plan.right]  # (b,)
    return loss + F.binary_cross_entropy_with_logits(h.squeeze(1), y)


def plain(network: nn.Module) -> nn.Module:
    """Return the network with the same weights and its convolutions no longer fused with changes of size."""
    for module in network.modules():
        for name, conv in module.named_children():
            steps: Callable[[nn.Conv2d, Tensor], Tensor] | None = None
            if isinstance(conv, HalvingConv):
                halves_first = isinstance(module, FirstBlock) and name == "shortcut"  # as in Miyato's code
                steps = halve_then_convolve if halves_first else convolve_then_halve
            elif isinstance(conv, DoublingConv):
                steps = double_then_convolve
            if steps is not None:
                conv.forward = functools.partial(steps, conv)
    return network


def convolve_then_halve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return F.avg_pool2d(_convolve(conv, x), 2)


def halve_then_convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return _convolve(conv, F.avg_pool2d(x, 2))


def double_then_convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return _convolve(conv, F.interpolate(x, scale_factor=2.0, mode="nearest"))


def _convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return F.conv2d(x, conv.weight, conv.bias, padding=conv.padding)
