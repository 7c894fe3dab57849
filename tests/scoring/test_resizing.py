import pytest
import torch
import torch.nn.functional as F
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from mmgan.scoring.resizing import RESIZINGS, name_with, resize_clean, resize_like_pillow, resize_like_tensorflow1


@pytest.mark.parametrize(("height", "width", "size"), [(32, 32, 299), (17, 40, 31), (40, 17, 20), (9, 9, 9), (1, 5, 8)])
def test_is_bitwise_torch_fidelitys(height: int, width: int, size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 3, height, width), dtype=torch.uint8, generator=generator)
    before = images.clone()
    resized = resize_like_tensorflow1(images, size)
    expected = interpolate_bilinear_2d_like_tensorflow1x(images.float(), (size, size), align_corners=False)
    assert torch.equal(resized, expected)
    assert torch.equal(images, before)
    assert resized.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("height", "width", "size"), [(32, 32, 75), (75, 60, 32), (9, 9, 9)])
def test_bicubic_is_torchs_antialiased_one(height: int, width: int, size: int) -> None:
    """Of clean-fid in float, of Pillow rounded to grey levels; both clamped to [0, 255]."""
    images = torch.randint(0, 256, (2, 3, height, width), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    expected = F.interpolate(images.float(), (size, size), mode="bicubic", antialias=True).clamp(0, 255)
    clean = resize_clean(images, size)
    torch.testing.assert_close(clean, expected, rtol=0, atol=1e-3)
    weak = images // 4 + 96  # nothing overshoots: Pillow clamps after each of its two passes
    expected = F.interpolate(weak.float(), (size, size), mode="bicubic", antialias=True)
    levels = resize_like_pillow(weak, size)
    assert (levels.float() - expected).abs().max() <= 1.5  # and rounds
    assert levels.dtype == torch.uint8
    assert clean.dtype == torch.float32


def test_another_resizing_has_another_name() -> None:
    assert name_with("inception", "tf1", "tf1") == "inception"
    names = {name_with("inception", resize, "tf1") for resize in RESIZINGS}
    assert names == {"inception", "inception-clean", "inception-pillow"}
