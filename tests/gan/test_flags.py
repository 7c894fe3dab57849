"""bf16, channels_last and torch.compile, each through its flag, against float32 in eager mode."""

import functools
from dataclasses import replace
from typing import Any

import jaxtyping
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor

from mmgan.config.fields import Names
from mmgan.config.gan import GanConfig, GanDeviceSettings, GanMixSettings, GanNetworkSettings, GanTrainingSettings
from mmgan.data import Images, make_images
from mmgan.gan.build import make_parts
from mmgan.gan.loop import GanParts, make_policy, train_gan
from mmgan.gan.networks import build_networks
from mmgan.training.tasks import LoopContext

B = 4
PLAIN = GanDeviceSettings(mixed_precision="no", channels_last=False)
# A learning rate at which no weight moves: every gradient is taken at the same weights.
STILL = GanTrainingSettings(steps=1, n_dis=1, batch_size=B, lr=1e-12, lr_decay="none")


def images() -> Images:
    pixels = torch.randint(0, 256, (16, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return make_images("noise", "train", pixels)


def step(device: GanDeviceSettings, layer: str) -> tuple[dict[str, Any], GanParts]:
    """The losses of one iteration, and the state after it; Adam with beta1 = 0 keeps the gradients as its mean."""
    mix = GanMixSettings(mix=Names(layer))
    settings = GanNetworkSettings(d_width=8, g_width=8, latent_dim=6)
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=True, mixed_precision=device.mixed_precision)
    networks = build_networks(settings, channels=3, image_size=16, seed=0)
    config = GanConfig(mix=mix, networks=settings, training=STILL, device=device)
    state = make_parts(*networks, config, images(), make_policy(mix), accelerator)
    rows: list[dict[str, Any]] = []
    train_gan(state, mix, STILL, LoopContext(accelerator, log_every=1, on_metrics=rows.extend))
    return rows[0], state


def gradients(optimizer: torch.optim.Optimizer) -> Tensor:
    """All of them in one vector."""
    return torch.cat([state["exp_avg"].flatten() for state in optimizer.state_dict()["state"].values()])


def assert_equal_to_plain(device: GanDeviceSettings, layer: str, loss: float, gradient: float) -> None:
    """Losses within `loss`, absolute or relative, and gradients within `gradient` of their norm."""
    (row, state), (plain_row, plain_state) = step(device, layer), step(PLAIN, layer)
    for name in ("loss_d", "loss_d_real", "loss_d_fake", "loss_d_mixed", "loss_g"):
        assert row[name] == pytest.approx(plain_row[name], rel=loss, abs=loss), name
    for ours, theirs in ((state.opt_d, plain_state.opt_d), (state.opt_g, plain_state.opt_g)):
        difference = gradients(ours) - gradients(theirs)
        assert float(difference.norm() / gradients(theirs).norm()) < gradient


@pytest.mark.parametrize("layer", ["pixel", "1", "2"])
def test_channels_last_is_equal_to_float_rounding(layer: str) -> None:
    assert_equal_to_plain(replace(PLAIN, channels_last=True), layer, loss=1e-5, gradient=1e-5)


@pytest.mark.parametrize("layer", ["pixel", "1", "2"])
def test_bf16_is_equal_to_its_three_digits(layer: str) -> None:
    assert_equal_to_plain(replace(PLAIN, mixed_precision="bf16"), layer, loss=2e-2, gradient=5e-2)


def test_bf16_keeps_weights_and_gradients_in_float32() -> None:
    _, state = step(replace(PLAIN, mixed_precision="bf16"), "1")
    assert {p.dtype for network in (state.generator, state.discriminator) for p in network.parameters()} == {
        torch.float32
    }
    assert gradients(state.opt_g).dtype == gradients(state.opt_d).dtype == torch.float32


# the compiler looks at G's output, which D takes in, as if it were a weight
@pytest.mark.slow(6)
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_is_equal_to_float_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flag's graphs, forward and backward, without the minute that inductor takes to make code of them."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # its checks cannot be traced
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    torch.compiler.reset()
    assert_equal_to_plain(replace(PLAIN, compile=True), "1", loss=1e-5, gradient=1e-5)
