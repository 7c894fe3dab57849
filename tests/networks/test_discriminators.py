"""Discriminators against counts derived by hand, by-hand arithmetic, and the definition of a spectral norm."""

from itertools import pairwise

import jaxtyping
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm

from mmgan.discriminators import DCGANDiscriminator, ResNetDiscriminator, build_discriminator
from mmgan.draws import global_stream
from mmgan.errors import UserError

SIZES = (16, 32, 48, 64, 128)


def conv(c: int, d: int, k: int) -> int:
    """Weights and biases of a k x k convolution from c to d channels."""
    return c * d * k * k + d


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def small(arch: str, size: int = 32, channels: int = 3, **settings: object) -> nn.Module:
    with global_stream(0, "weights"):
        return build_discriminator(arch, size, channels, width=4, **settings)


def by_hand_conv(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A size-keeping convolution, written out as a sum over the offsets of its kernel."""
    k = weight.shape[-1]
    n, _, h, w = x.shape
    padded = x.new_zeros(n, x.shape[1], h + k - 1, w + k - 1)
    padded[:, :, k // 2 : k // 2 + h, k // 2 : k // 2 + w] = x
    out = bias[None, :, None, None].expand(n, -1, h, w)
    for i in range(k):
        for j in range(k):
            out = out + torch.einsum("nchw,dc->ndhw", padded[:, :, i : i + h, j : j + w], weight[:, :, i, j])
    return out


def by_hand_halve(x: Tensor) -> Tensor:
    return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4


def divided(layer: nn.Module) -> Tensor:
    """The effective weight from the original and the stored singular vectors: W / (u^T W v)."""
    weight = layer.parametrizations.weight.original
    norm = layer.parametrizations.weight[0]
    matrix = weight.reshape(weight.shape[0], -1)
    return weight / (norm._u[None] @ matrix @ norm._v[:, None]).squeeze()


def apply_by_hand(x: Tensor, layer: nn.Module) -> Tensor:
    return by_hand_conv(x, divided(layer), layer.bias)


# --- parameters ---------------------------------------------------------------------------------------------------


def test_reference_resnet_for_32_pixels_has_its_parameters() -> None:
    first = conv(3, 128, 3) + conv(128, 128, 3) + conv(3, 128, 1)
    down = 2 * conv(128, 128, 3) + conv(128, 128, 1)
    keep = 2 * conv(128, 128, 3)
    assert first + down + 2 * keep + 128 == 1_053_824  # the linear map has no bias
    assert count(build_discriminator("resnet", 32)) == 1_053_824


def test_resnet_for_16_pixels_lacks_the_second_shortcut_only() -> None:
    assert count(build_discriminator("resnet", 16)) == 1_053_824 - conv(128, 128, 1)


@pytest.mark.parametrize(
    ("size", "ladder", "all_halve"),
    [
        (48, (64, 128, 256, 512, 1024), False),
        (64, (64, 128, 256, 512, 1024), True),
        (128, (64, 128, 256, 512, 1024, 1024), False),
    ],
)
def test_larger_reference_resnets_have_their_parameters(size: int, ladder: tuple[int, ...], all_halve: bool) -> None:
    c = ladder[0]
    expected = conv(3, c, 3) + conv(c, c, 3) + conv(3, c, 1)
    for c, d in pairwise(ladder):
        # the first convolution of a block keeps its input's channels; equal channels need no shortcut unless halved
        expected += conv(c, c, 3) + conv(c, d, 3) + (conv(c, d, 1) if c != d or all_halve else 0)
    expected += ladder[-1] + 1
    with torch.device("meta"):
        network = build_discriminator("resnet", size, spectral="none")
    assert count(network) == expected


def test_reference_dcgan_has_its_parameters() -> None:
    ladder = [conv(c, d, 3) + conv(d, d, 4) for c, d in ((3, 64), (64, 128), (128, 256))]
    assert count(build_discriminator("dcgan", 32)) == sum(ladder) + conv(256, 512, 3) + 512 * 4 * 4 + 1
    assert count(build_discriminator("dcgan", 48)) == sum(ladder) + conv(256, 512, 3) + 512 * 6 * 6 + 1


def test_released_settings_add_their_parameters() -> None:
    released = build_discriminator("resnet", 32, pool="mean", spectral="partial", shortcuts="all")
    assert count(released) == 1_053_824 + 2 * conv(128, 128, 1)


def test_width_scales_the_ladder() -> None:
    assert build_discriminator("resnet", 48, width=4).block5.conv2.out_channels == 64
    assert build_discriminator("dcgan", 32, width=4).block4[0].out_channels == 32


# --- initialisation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "gain", "fan"), [("block2.conv1", 2.0, 64 * 9 * 2), ("block2.shortcut", 1.0, 64 * 2)])
def test_glorot_gain_is_sqrt_two_in_branches_and_one_in_shortcuts(name: str, gain: float, fan: int) -> None:
    with global_stream(0, "weights"):
        layer = build_discriminator("resnet", 32, width=64).get_submodule(name)
    weight = layer.parametrizations.weight.original.detach()
    bound = (6 * gain / fan) ** 0.5
    assert float(weight.abs().max()) <= bound
    assert float(weight.var()) == pytest.approx(bound**2 / 3, rel=0.05)
    assert not layer.bias.any()


# --- spectral norm ------------------------------------------------------------------------------------------------


def normalised(network: nn.Module) -> set[str]:
    return {
        name
        for name, module in network.named_modules()
        if parametrize.is_parametrized(module, "weight")
        and isinstance(module.parametrizations.weight[0], _SpectralNorm)
    }


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("arch", ["resnet", "dcgan"])
def test_every_weight_is_spectrally_normalised(arch: str, size: int) -> None:
    network = small(arch, size)
    layers = {name for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    assert normalised(network) == layers
    matrices = [name for name, p in network.named_parameters() if p.dim() > 1]
    assert len(matrices) == len(layers)
    assert all(name.endswith("parametrizations.weight.original") for name in matrices)


@pytest.mark.parametrize("arch", ["resnet", "dcgan"])
def test_effective_weights_have_spectral_norm_one(arch: str) -> None:
    network = small(arch, 16)
    with torch.no_grad():
        for _ in range(150):
            network(torch.zeros(1, 3, 16, 16))
    for name in normalised(network):
        layer = network.get_submodule(name)
        weight = layer.weight.detach()
        largest = torch.linalg.svdvals(weight.reshape(weight.shape[0], -1).double())[0]
        assert float(largest) == pytest.approx(1, abs=0.01), name


def test_partial_spectral_norm_spares_the_shortcuts_that_keep_the_size() -> None:
    network = small("resnet", spectral="partial", shortcuts="all")
    layers = {name for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    assert layers - normalised(network) == {"block3.shortcut", "block4.shortcut"}


@pytest.mark.parametrize("arch", ["resnet", "dcgan"])
def test_no_spectral_norm(arch: str) -> None:
    assert not normalised(small(arch, spectral="none"))


# --- arithmetic ---------------------------------------------------------------------------------------------------


def test_first_block_by_hand() -> None:
    block = small("resnet").double().eval().block1
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    h = apply_by_hand(apply_by_hand(x, block.conv1).clamp(min=0), block.conv2)
    expected = by_hand_halve(h) + apply_by_hand(by_hand_halve(x), block.shortcut)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(("number", "down"), [(2, True), (3, False)])
def test_later_blocks_by_hand(number: int, down: bool) -> None:
    block = small("resnet").double().eval().get_submodule(f"block{number}")
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    h = apply_by_hand(x.clamp(min=0), block.conv1)
    h = apply_by_hand(h.clamp(min=0), block.conv2)
    if down:
        expected = by_hand_halve(h) + by_hand_halve(apply_by_hand(x, block.shortcut))
    else:
        expected = h + x
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("pool", ["sum", "mean"])
def test_global_pooling_by_hand(pool: str) -> None:
    network = small("resnet", pool=pool).double().eval()
    seen: list[Tensor] = []
    network.block4.register_forward_hook(lambda module, args, output: seen.append(output))
    x = torch.randn(3, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    logits = network(x)
    weight = divided(network.linear)[0]
    expected = []
    for image in seen[0]:
        total = sum(image[:, i, j].clamp(min=0) for i in range(8) for j in range(8))
        expected.append((total if pool == "sum" else total / 64) @ weight)
    torch.testing.assert_close(logits, torch.stack(expected))


def test_dcgan_slope_is_a_tenth() -> None:
    slopes = [m.negative_slope for m in small("dcgan").modules() if isinstance(m, nn.LeakyReLU)]
    assert slopes == [0.1] * 7


def test_a_discriminator_runs_in_bfloat16() -> None:
    network = small("resnet")
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(torch.randn(2, 3, 32, 32))
    logits.float().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.fixture
def as_users_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the shape checks of the tests, which would refuse first."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arch": "resnet", "image_size": 28}, "ResNet discriminator for 28 pixels: choose a multiple of 16"),
        ({"arch": "dcgan", "image_size": 40}, "DCGAN discriminator for 40 pixels"),
        ({"arch": "vgg", "image_size": 32}, "'vgg' is unknown: choose resnet or dcgan"),
        ({"arch": "resnet", "image_size": 32, "channels": 0}, "channels is 0"),
        ({"arch": "resnet", "image_size": 32, "width": -1}, "width is -1"),
        ({"arch": "resnet", "image_size": 32, "pool": "max"}, "choose sum or mean"),
        ({"arch": "resnet", "image_size": 32, "spectral": "some"}, "choose all, partial or none"),
        ({"arch": "resnet", "image_size": 32, "shortcuts": "some"}, "choose needed or all"),
        ({"arch": "dcgan", "image_size": 32, "pool": "mean"}, "not for dcgan"),
        ({"arch": "dcgan", "image_size": 32, "spectral": "partial"}, "not for dcgan"),
        ({"arch": "dcgan", "image_size": 32, "shortcuts": "all"}, "not for dcgan"),
    ],
)
def test_builder_refuses(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        build_discriminator(**settings)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("cls", [ResNetDiscriminator, DCGANDiscriminator])
@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (2, 1, 32, 32), (3, 32, 32), (2, 3, 32, 48)])
def test_forward_refuses_other_images(cls: type, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"built for float images of shape \(n, 3, 32, 32\)"):
        cls(32, 3, width=2)(torch.zeros(shape))


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("arch", ["resnet", "dcgan"])
def test_forward_refuses_integers(arch: str) -> None:
    with pytest.raises(UserError, match=r"float images .* given torch.uint8"):
        small(arch)(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
