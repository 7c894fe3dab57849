"""The usual way of training a GAN, which speed is measured against, computes what the trainer computes.

Passes of their own iterate the spectral norms more often than one joint pass does. Here no pass iterates, so that both
see the same weights; what a power iteration is worth is no matter of speed.
"""

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm

from benchmarks.setup import LAYERS, Gan, mix_of
from benchmarks.usual_way import discriminator_loss
from mmgan import Mixed, RealFakePolicy
from mmgan.losses import GAN_LOSSES, discriminator_losses

GAN = Gan("cpu", batch_size=4, d_width=6, g_width=6, latent_dim=5, n_dis=3)


@pytest.fixture(autouse=True)
def _float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks, latents and images in float64, so that sums in another order agree closely."""
    networks, batches, randn = Gan.networks, Gan.batches, torch.randn

    def frozen(self: Gan, layout: torch.memory_format = torch.channels_last) -> tuple[nn.Module, ...]:
        return tuple(_without_power_iterations(network.double()) for network in networks(self, layout))

    def of_doubles(self: Gan):  # type: ignore[no-untyped-def]
        made = batches(self)
        monkeypatch.setattr(made, "batch", lambda step, batch=made.batch: (batch(step)[0].double(), None))
        return made

    monkeypatch.setattr(Gan, "networks", frozen)
    monkeypatch.setattr(Gan, "batches", of_doubles)
    monkeypatch.setattr(torch, "randn", lambda *size, **kw: randn(*size, **kw).double())


def _without_power_iterations(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, _SpectralNorm):
            module.n_power_iterations = 0
    return network


@pytest.mark.parametrize("layer", ["none", "pixel", "1", "2"])
def test_losses_and_gradients_of_the_discriminator_are_equal(layer: str) -> None:
    usual, ours = GAN.usual_way().discriminator, GAN.networks()[1]
    plan = RealFakePolicy(layer).draw(GAN.batch_size)
    real, fake = torch.randn(2, GAN.batch_size, 3, 32, 32).tanh()
    logits = Mixed(ours, layer)(torch.cat([real, fake]), plan=plan, mode="append")
    outputs = plan.split(logits)
    loss = discriminator_losses(GAN_LOSSES["jsgan"], *outputs, plan).total
    usual_loss = discriminator_loss(usual, real, fake, plan)
    torch.testing.assert_close(loss, usual_loss, rtol=1e-12, atol=0)
    loss.backward()
    usual_loss.backward()
    for (name, p), q in zip(ours.named_parameters(), usual.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-9, atol=1e-12, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.slow(1)
def test_whole_iterations_are_equal() -> None:
    """Losses, and after each of two iterations weights, BatchNorm's statistics and the gradients that Adam has seen."""
    parts, usual = GAN.parts(), GAN.usual_way()
    rows: list[dict[str, float]] = []
    for step in range(2):
        GAN.train(parts, Accelerator(cpu=True), on_metrics=rows.extend)
        loss_d, loss_g = usual.iteration(step)
        # the trainer keeps its metrics in float32
        assert rows[step]["loss_d"] == pytest.approx(float(loss_d), rel=1e-6)
        assert rows[step]["loss_g"] == pytest.approx(float(loss_g), rel=1e-6)
        pairs = [(parts.generator, usual.generator), (parts.discriminator.model, usual.discriminator)]
        for ours, theirs in pairs:
            _same(ours.state_dict(), theirs.state_dict())
        for ours, theirs in ((parts.opt_g, usual.opt_g), (parts.opt_d, usual.opt_d)):
            for a, b in zip(ours.state_dict()["state"].values(), theirs.state_dict()["state"].values(), strict=True):
                _same(a, b)
    assert {layer for row in rows for layer in row["layers"]} == set(LAYERS.split(",")), "each layer was mixed at"


def _same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    for name, value in theirs.items():
        torch.testing.assert_close(
            torch.as_tensor(ours[name]).double(),
            torch.as_tensor(value).double(),
            rtol=1e-7,
            atol=1e-8,
            msg=lambda m, name=name: f"{name}: {m}",
        )


def test_the_settings_are_those_of_the_paper() -> None:
    assert mix_of(LAYERS).mix.items == ("1", "2", "pixel")
    assert (mix_of(LAYERS).alpha, mix_of(LAYERS).lam) == (0.5, "uniform")
    assert Gan("cpu", 64).settings().beta1 == 0
