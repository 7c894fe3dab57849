import pytest
import torch
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from mmgan.scoring.resizing import resize_like_tensorflow1


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
