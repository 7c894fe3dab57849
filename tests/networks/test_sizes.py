"""The image sizes of the GANs' networks: every multiple of 16 up to 256, by the ladders of the reference networks."""

import jaxtyping
import pytest
import torch

from mmgan.discriminators import build_discriminator
from mmgan.discriminators.resnet import discriminator_ladder
from mmgan.errors import UserError
from mmgan.generators import build_generator
from mmgan.generators.resnet import generator_ladder
from mmgan.networks.sizes import is_size, nearest_size

REFERENCES = {  # tables 4, 5 and 6, and the authors' code at 64 and 256 pixels
    32: (4, (1, 1, 1, 1), (1, 1, 1, 1), (1, 1, 0, 0)),
    48: (6, (8, 4, 2, 1), (1, 2, 4, 8, 16), (1, 1, 1, 1, 0)),
    64: (4, (16, 8, 4, 2, 1), (1, 2, 4, 8, 16), (1, 1, 1, 1, 1)),
    128: (4, (16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), (1, 1, 1, 1, 1, 0)),
    256: (4, (16, 16, 8, 8, 4, 2, 1), (1, 2, 4, 8, 8, 16, 16), (1, 1, 1, 1, 1, 1, 0)),
}


@pytest.mark.parametrize("size", REFERENCES)
def test_the_references_have_their_ladders(size: int) -> None:
    g, d = generator_ladder(size), discriminator_ladder(size)
    assert (g.side, g.channels, d.channels, d.down) == REFERENCES[size]
    assert d.head_bias == (size > 32)
    assert (g.width, d.width) == ((256, 128) if size == 32 else (64, 64))


@pytest.mark.parametrize("arch", ["resnet", "dcgan"])
def test_every_size_has_networks_that_halve_even_sides(arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    for size in range(16, 257, 16):
        side = size
        for halves in discriminator_ladder(size).down:
            assert side % 2 == 0 or not halves
            side //= 1 + halves
        with torch.device("meta"):
            generator = build_generator(arch, size, width=1, latent_dim=3)
            discriminator = build_discriminator(arch, size, width=1, spectral="none")
            images = generator(torch.zeros(2, 3))
            assert images.shape == (2, 3, size, size)
            assert discriminator(images).shape == (2,)


def test_the_nearest_size() -> None:
    assert [s for s in range(300) if is_size(s)] == list(range(16, 257, 16))
    assert [nearest_size(s) for s in (1, 16, 23, 24, 28, 100, 250, 1000)] == [16, 16, 16, 32, 32, 96, 256, 256]
    for arch in ("resnet", "dcgan"):
        for build in (build_generator, build_discriminator):
            with pytest.raises(UserError, match=r"for 100 pixels: .* --image-size 96, the nearest"):
                build(arch, 100)
