"""The laws of differentiable augmentation."""

import pytest
import torch
from torch import Tensor

from mmgan.errors import UserError
from mmgan.regularizers import DiffAugment

N = 400


def images(n: int = N, c: int = 3, h: int = 16, w: int = 16, seed: int = 0) -> Tensor:
    return torch.rand(n, c, h, w, generator=torch.Generator().manual_seed(seed)) * 1.8 - 0.9


@pytest.mark.parametrize(
    "policy", ["color,translation,cutout", "color", "translation", "cutout", "flip", "cutout, color"]
)
def test_draws_are_named(policy: str) -> None:
    augment, x = DiffAugment(policy), images(32)
    once = augment(x, "real", step=3, seed=1, rank=2)
    assert once.shape == x.shape
    assert once.dtype == x.dtype
    torch.manual_seed(77)
    assert torch.equal(augment(x, "real", step=3, seed=1, rank=2), once)
    others = [
        augment(x, "fake", step=3, seed=1, rank=2),
        augment(x, "real", step=4, seed=1, rank=2),
        augment(x, "real", step=3, seed=0, rank=2),
        augment(x, "real", step=3, seed=1, rank=0),
    ]
    assert not any(torch.equal(other, once) for other in [*others, x])


@pytest.mark.slow(1)
def test_translation_moves_whole_pixels_up_to_an_eighth_and_fills_with_grey() -> None:
    h, w = 16, 36  # an eighth is 2, and 4.5 rounded up
    marked = 1 + torch.arange(h * w, dtype=torch.float32).view(1, 1, h, w).expand(2000, 2, h, w)
    moved = DiffAugment("translation")(marked, "real", step=0)
    seen = set()
    for image in moved:
        assert torch.equal(image[0], image[1])
        i, j = 8, 18
        source = int(image[0, i, j]) - 1
        up, left = source // w - i, source % w - j
        seen.add((up, left))
        wanted = torch.zeros(h, w)
        for row in range(h):
            if 0 <= row + up < h:
                columns = [column for column in range(w) if 0 <= column + left < w]
                wanted[row, columns] = marked[0, 0, row + up, [column + left for column in columns]]
        assert torch.equal(image[0], wanted)
    assert seen == {(up, left) for up in range(-2, 3) for left in range(-5, 6)}


def test_cutout_is_a_box_of_half_the_side_cut_off_at_the_border() -> None:
    for size in (16, 7):  # the box has side 8, and 4
        side = size // 2 + size % 2
        cut = DiffAugment("cutout")(torch.ones(3000, 2, size, size), "real", step=0)
        assert torch.equal(cut[:, 0], cut[:, 1])
        holes = cut[:, 0] == 0
        heights, widths = holes.any(2).sum(1), holes.any(1).sum(1)
        assert torch.equal(heights * widths, holes.sum((1, 2)))  # a box: its area is height times width
        least = side // 2
        for extent, line in ((heights, holes.any(2)), (widths, holes.any(1))):
            assert extent.min() >= least
            assert extent.max() == side
            at_border = line[:, 0] | line[:, -1]
            assert (extent[~at_border] == side).all()
            # All places of the centre have the same probability: size + 1 of them for an even side.
            whole = (extent == side).double().mean().item()
            assert whole == pytest.approx((size - side + 1) / (size + 1), abs=0.04)


def test_colour_draws_have_the_papers_ranges() -> None:
    x = images()
    y = DiffAugment("color")(x, "real", step=0)
    shift = (y - x).mean((1, 2, 3))  # saturation and contrast keep an image's mean
    assert shift.min() >= -0.5
    assert shift.max() <= 0.5
    assert shift.std().item() == pytest.approx(1 / 12**0.5, rel=0.1)

    def spread(v: Tensor) -> Tensor:
        return (v.mean(1) - v.mean((1, 2, 3))[:, None, None]).square().sum((1, 2)).sqrt()  # of the grey image

    contrast = spread(y) / spread(x)  # saturation keeps the grey image
    assert contrast.min() >= 0.5 - 1e-4
    assert contrast.max() <= 1.5 + 1e-4
    assert contrast.mean().item() == pytest.approx(1, abs=0.05)
    assert contrast.std().item() == pytest.approx(1 / 12**0.5, rel=0.1)

    def colour(v: Tensor) -> Tensor:
        return (v - v.mean(1, keepdim=True)).square().sum((1, 2, 3)).sqrt()

    saturation = colour(y) / colour(x) / contrast
    assert saturation.min() >= 0
    assert saturation.max() <= 2 + 1e-3
    assert saturation.mean().item() == pytest.approx(1, abs=0.1)
    assert saturation.std().item() == pytest.approx(2 / 12**0.5, rel=0.1)
    drawn = torch.stack([shift, contrast, saturation])
    assert (torch.corrcoef(drawn) - torch.eye(3)).abs().max() < 0.2  # each has its own draw


def test_flips_half_of_the_images() -> None:
    x = images()
    y = DiffAugment("flip")(x, "real", step=0)
    mirrored = torch.tensor([torch.equal(b, a.flip(2)) for a, b in zip(x, y, strict=True)])
    kept = torch.tensor([torch.equal(b, a) for a, b in zip(x, y, strict=True)])
    assert (mirrored ^ kept).all()
    assert 0.4 < mirrored.double().mean() < 0.6


@pytest.mark.parametrize("policy", ["color", "translation", "cutout", "flip", "color,translation,cutout"])
def test_gradients_are_those_of_finite_differences(policy: str) -> None:
    x = images(3, 2, 5, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: DiffAugment(policy)(v, "fake of g", step=1), x)


def test_bf16_images_are_computed_in_float32() -> None:
    x = images(16).bfloat16()
    y = DiffAugment()(x, "real", step=0)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, DiffAugment()(x.float(), "real", step=0).bfloat16())


@pytest.mark.parametrize("policy", ["", "colour", "color,color", "color,,cutout"])
def test_a_policy_that_cannot_be_read_is_refused_in_one_line(policy: str) -> None:
    with pytest.raises(UserError, match="augmentation") as error:
        DiffAugment(policy)
    assert "\n" not in str(error.value)


def test_images_that_are_not_floats_are_refused() -> None:
    with pytest.raises(ValueError, match="floating point"):
        DiffAugment()(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "real", step=0)
    with pytest.raises(ValueError, match="floating point"):
        DiffAugment()(torch.zeros(3, 4, 4), "real", step=0)
