from collections import Counter

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from torch import Tensor

from mmgan.analysis.deformations import TABLE_9, Deformation, deform, inverse_maps
from mmgan.errors import UserError

settings = pytest.mark.parametrize("deformation", TABLE_9.values(), ids=TABLE_9)


def drawn(n: int = 4, h: int = 12, w: int = 9) -> Tensor:
    return 2 * torch.rand(n, 2, h, w, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1


def test_table_9_has_its_17_settings():
    assert Counter(d.kind for d in TABLE_9.values()) == {"rotation": 4, "shear": 5, "zoom": 8}
    assert len(TABLE_9) == 17
    shears = [d.amount for d in TABLE_9.values() if d.kind == "shear"]
    np.testing.assert_allclose(np.deg2rad(shears), [0.5, 1, 2, 2.5, 3], atol=1e-3)  # round numbers of radians


@settings
def test_bilinear_equals_scipys_affine_transform(deformation):
    images = drawn()
    found = deform(images, deformation, seed=1)
    for image, new, a in zip(images, found, inverse_maps(deformation, 4, seed=1), strict=True):
        to_rows_and_columns = a[::-1, ::-1]  # from (x, y) to (y, x)
        centre = (np.array(image.shape[1:]) - 1) / 2
        for channel, result in zip(image, new, strict=True):
            expected = ndimage.affine_transform(
                channel.numpy(),
                to_rows_and_columns,
                centre - to_rows_and_columns @ centre,
                order=1,
                mode="grid-constant",
                cval=-1,
            )
            np.testing.assert_allclose(result, expected, atol=1e-9)


@settings
def test_nearest_invents_no_grey_level(deformation):
    images = drawn().float()
    found = deform(images, deformation, interpolation="nearest")
    known = torch.cat([images.flatten(), torch.tensor([-1.0])])
    assert float((found.flatten()[:, None] - known).abs().amin(dim=1).max()) < 1e-6


@settings
def test_a_batch_is_deformed_as_its_images_alone(deformation):
    images = drawn(6)
    alone = [deform(images[i : i + 1], deformation, seed=5, first=i) for i in range(6)]
    torch.testing.assert_close(torch.cat(alone), deform(images, deformation, seed=5), rtol=0, atol=1e-12)


def test_a_seed_draws_one_angle_an_image_and_another_seed_others():
    for name in ("rotation-40", "shear-57.3"):
        maps = inverse_maps(TABLE_9[name], 50, seed=0)
        np.testing.assert_array_equal(maps, inverse_maps(TABLE_9[name], 50, seed=0))
        assert len(np.unique(maps[:, 1, 0])) == 50
        assert not np.isin(inverse_maps(TABLE_9[name], 50, seed=1), maps[:, 1, 0]).any()


@pytest.mark.parametrize(("name", "sine"), [("rotation-60", (1, 0)), ("shear-57.3", (1, 0))])
def test_angles_are_uniform_in_their_range(name, sine):
    half = np.deg2rad(TABLE_9[name].amount)
    angles = np.arcsin(np.abs(inverse_maps(TABLE_9[name], 2000)[:, *sine]))
    assert stats.kstest(angles, stats.uniform(0, half).cdf).pvalue > 0.01
    assert (inverse_maps(TABLE_9[name], 2000)[:, *sine] > 0).mean() == pytest.approx(0.5, abs=0.05)


def test_a_positive_quarter_turn_is_counter_clockwise(monkeypatch):
    images = drawn(1, 6, 6)
    quarter = np.array([[[0.0, -1.0], [1.0, 0.0]]])  # 90 degrees put into the rotation's matrix
    monkeypatch.setattr("mmgan.analysis.deformations.inverse_maps", lambda *_, **__: quarter)
    torch.testing.assert_close(deform(images, TABLE_9["rotation-20"]), torch.rot90(images, 1, (2, 3)))


def test_rotations_keep_lengths_and_orientation():
    maps = inverse_maps(TABLE_9["rotation-80"], 20)
    np.testing.assert_allclose(maps @ maps.transpose(0, 2, 1), np.tile(np.eye(2), (20, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(maps), 1)


def test_zooming_in_shows_the_centred_box_and_out_puts_black_around():
    image = torch.full((1, 1, 10, 10), -0.5)
    image[:, :, 3:7, 3:7] = 0.5  # the box of 40 %
    assert bool((deform(image, TABLE_9["zoom-in-40"], interpolation="nearest") == 0.5).all())
    out = deform(torch.ones(1, 1, 18, 10), TABLE_9["zoom-out-180"])
    middle = out[0, 0, 5:13, 3:7]  # 18 / 1.8 = 10 rows and 10 / 1.8 = 5.6 columns, borders left out
    torch.testing.assert_close(middle, torch.ones(8, 4))
    assert bool((out[0, 0, :3] == -1).all())
    assert bool((out[0, 0, :, :2] == -1).all())


def test_no_deformation_is_the_identity():
    images = drawn()
    for nothing in (Deformation("rotation", 0), Deformation("shear", 0), Deformation("zoom", 100)):
        torch.testing.assert_close(deform(images, nothing), images)


def test_results_are_valid_images_in_their_dtype():
    images = torch.ones(3, 1, 33, 31)
    for deformation in TABLE_9.values():
        found = deform(images, deformation)
        assert found.dtype == torch.float32
        assert -1 <= float(found.min()) <= float(found.max()) <= 1


def test_bad_arguments_are_refused():
    images = drawn()
    with pytest.raises(UserError, match="choose bilinear or nearest"):
        deform(images, TABLE_9["zoom-in-20"], interpolation="cubic")
    with pytest.raises(UserError, match="must lie in"):
        deform(images * 3, TABLE_9["zoom-in-20"])
    with pytest.raises(UserError, match="first = -1"):
        deform(images, TABLE_9["rotation-20"], first=-1)
    for nonsense in (Deformation("rotation", -1), Deformation("zoom", 0), Deformation("zoom", float("nan"))):
        with pytest.raises(UserError, match="is none"):
            deform(images, nonsense)
