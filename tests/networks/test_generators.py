"""Generators against counts derived by hand, by-hand arithmetic, and the discriminators they must match."""

import jaxtyping
import pytest
import torch
from torch import nn

from mmgan.discriminators import build_discriminator
from mmgan.draws import global_stream
from mmgan.errors import UserError
from mmgan.generators import build_generator
from mmgan.generators.resnet import UpBlock

SIZES = (16, 32, 48, 64, 128)


def conv(c: int, d: int, k: int) -> int:
    return c * d * k * k + d


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def up(c: int, d: int, learned: bool = True) -> int:
    """Two BatchNorms, two 3x3 convolutions, one 1x1 shortcut."""
    return 2 * c + 2 * d + conv(c, d, 3) + conv(d, d, 3) + (conv(c, d, 1) if learned else 0)


def test_reference_resnet_for_32_pixels_has_its_parameters() -> None:
    expected = (128 + 1) * 4 * 4 * 256 + 3 * up(256, 256) + 2 * 256 + conv(256, 3, 3)
    assert expected == 4_276_739
    assert count(build_generator("resnet", 32)) == 4_276_739


def test_reference_resnet_for_48_pixels_has_its_parameters() -> None:
    blocks = up(512, 256) + up(256, 128) + up(128, 64)
    assert count(build_generator("resnet", 48)) == (128 + 1) * 6 * 6 * 512 + blocks + 2 * 64 + conv(64, 3, 3)


def test_reference_resnet_for_64_pixels_has_its_parameters() -> None:
    blocks = up(1024, 512) + up(512, 256) + up(256, 128) + up(128, 64)
    assert count(build_generator("resnet", 64)) == (128 + 1) * 4 * 4 * 1024 + blocks + 2 * 64 + conv(64, 3, 3)


def test_released_resnet_has_its_parameters() -> None:
    network = build_generator("resnet", 32, width=128, latent_dim=62, shortcuts="nearest")
    blocks = 3 * up(128, 128, learned=False)
    assert count(network) == (62 + 1) * 4 * 4 * 128 + blocks + 2 * 128 + conv(128, 3, 3)


def test_reference_dcgan_has_its_parameters() -> None:
    ladder = sum(conv(c, d, 4) + 2 * d for c, d in ((512, 256), (256, 128), (128, 64)))
    assert count(build_generator("dcgan", 32)) == (128 + 1) * 4 * 4 * 512 + ladder + conv(64, 3, 3)
    assert count(build_generator("dcgan", 48)) == (128 + 1) * 6 * 6 * 512 + ladder + conv(64, 3, 3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("arch", ["resnet", "dcgan"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_fit_the_discriminator_and_the_range(arch: str, size: int, channels: int) -> None:
    with global_stream(0, "weights"):
        generator = build_generator(arch, size, channels, width=2, latent_dim=5)
        discriminator = build_discriminator(arch, size, channels, width=2)
        z = 100 * torch.randn(3, generator.latent_dim)
        nn.init.normal_(generator.conv.weight)  # images that saturate
    before_tanh: list[torch.Tensor] = []
    generator.conv.register_forward_hook(lambda module, args, output: before_tanh.append(output))
    images = generator(z)
    torch.testing.assert_close(images, torch.tanh(before_tanh[0]))
    assert generator.latent_dim == 5
    assert images.shape == (3, channels, size, size)
    assert images.dtype == torch.float32
    assert float(images.detach().abs().max()) <= 1
    assert discriminator(images).shape == (3,)


def test_batch_norms_have_the_reference_numbers() -> None:
    for arch in ("resnet", "dcgan"):
        norms = [m for m in build_generator(arch, 32, width=2).modules() if isinstance(m, nn.BatchNorm2d)]
        assert len(norms) == (7 if arch == "resnet" else 3)
        assert all((m.eps, m.momentum) == (2e-5, 0.1) for m in norms)


@pytest.mark.parametrize("learned", [True, False])
def test_up_block_by_hand(learned: bool) -> None:
    with global_stream(0, "weights"):
        block = UpBlock(4, 4, learned).double()
        x = torch.randn(3, 4, 2, 2, dtype=torch.float64)

    def norm(h: torch.Tensor) -> torch.Tensor:
        mean, var = h.mean((0, 2, 3), keepdim=True), h.var((0, 2, 3), correction=0, keepdim=True)
        return (h - mean) / (var + 2e-5) ** 0.5

    def double_size(h: torch.Tensor) -> torch.Tensor:
        return h[:, :, [0, 0, 1, 1]][:, :, :, [0, 0, 1, 1]]

    def shift_sum(h: torch.Tensor, layer: nn.Conv2d) -> torch.Tensor:
        n, c, height, width = h.shape
        padded = h.new_zeros(n, c, height + 2, width + 2)
        padded[:, :, 1:-1, 1:-1] = h
        terms = [
            torch.einsum("nchw,dc->ndhw", padded[:, :, i : i + height, j : j + width], layer.weight[:, :, i, j])
            for i in range(3)
            for j in range(3)
        ]
        return torch.stack(terms).sum(0)  # biases start at zero

    h = shift_sum(double_size(norm(x).clamp(min=0)), block.conv1)
    h = shift_sum(norm(h).clamp(min=0), block.conv2)
    shortcut = torch.einsum("nchw,dc->ndhw", x, block.shortcut.weight[:, :, 0, 0]) if learned else x
    torch.testing.assert_close(block(x), h + double_size(shortcut))


def test_initialisation_is_glorot_for_resnet_and_normal_for_dcgan() -> None:
    with global_stream(0, "weights"):
        resnet, dcgan = build_generator("resnet", 32, width=64), build_generator("dcgan", 32)
    branch = resnet.get_submodule("block1.conv1").weight.detach()
    assert float(branch.var()) == pytest.approx(2 * 2 / (64 * 9 * 2), rel=0.05)
    shortcut = resnet.get_submodule("block1.shortcut").weight.detach()
    assert float(shortcut.var()) == pytest.approx(2 / (64 * 2), rel=0.1)
    assert float(dcgan.get_submodule("block1.0").weight.detach().std()) == pytest.approx(0.02, rel=0.02)
    biases = [p for network in (resnet, dcgan) for name, p in network.named_parameters() if name.endswith("bias")]
    assert not any(p.any() for p in biases)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"arch": "resnet", "image_size": 28},
            "ResNet generator for 28 pixels: choose a multiple of 16",
        ),
        ({"arch": "dcgan", "image_size": 20}, "DCGAN generator for 20 pixels"),
        ({"arch": "unet", "image_size": 32}, "'unet' is unknown: choose resnet or dcgan"),
        ({"arch": "resnet", "image_size": 32, "latent_dim": 0}, "latent_dim is 0"),
        ({"arch": "dcgan", "image_size": 32, "width": 0}, "width is 0"),
        ({"arch": "resnet", "image_size": 48, "shortcuts": "nearest"}, "one width throughout"),
        ({"arch": "resnet", "image_size": 32, "shortcuts": "none"}, "choose learned or nearest"),
        ({"arch": "dcgan", "image_size": 32, "shortcuts": "nearest"}, "for the resnet generator"),
    ],
)
def test_builder_refuses(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_generator(**settings)


@pytest.mark.parametrize("shape", [(2, 7), (5,), (2, 5, 1, 1)])
def test_forward_refuses_other_latents(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(UserError, match=r"latents of shape \(n, 5\)"):
        build_generator("dcgan", 16, width=2, latent_dim=5)(torch.zeros(shape))
