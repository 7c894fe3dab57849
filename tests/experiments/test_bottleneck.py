"""How classes lie in a hidden space, against shapes whose measures are known, and the quick run on MNIST."""

import json
import math
from pathlib import Path

import pytest
import torch

from mmgan.errors import UserError
from mmgan.experiments.bottleneck.bottleneck import ARMS, TASKS, run
from mmgan.experiments.framework.hidden import class_geometry, ellipse_area, nearest_gap, occupied_share
from mmgan.experiments.framework.outcome import Place

CROSS = torch.tensor([[3.0, 0], [-3, 0], [0, 1], [0, -1]])  # centred; singular values sqrt(18) and sqrt(2)
LABELS = torch.tensor([0] * 4 + [1] * 4)


def two_crosses(distance: float, scale: float = 1.0) -> torch.Tensor:
    return torch.cat([scale * CROSS, scale * CROSS + torch.tensor([0.0, distance])])


def test_geometry_of_two_crosses() -> None:
    got = class_geometry(two_crosses(10), LABELS)
    assert got.separation == pytest.approx(10)
    assert got.spread == pytest.approx(math.sqrt((9 + 9 + 1 + 1) / 4))
    assert got.largest == pytest.approx(math.sqrt(18 / 4))
    assert got.rest == pytest.approx(math.sqrt(2 / 4))
    assert got.relative_spread == pytest.approx(math.sqrt(5) / 10)
    assert got.thickness == pytest.approx(math.sqrt(0.5) / 10)
    assert got.rest_share == pytest.approx(0.25)


def test_ratios_know_no_scale_shift_or_rotation() -> None:
    generator = torch.Generator().manual_seed(0)
    hidden, labels = torch.randn(90, 2, generator=generator).double(), torch.arange(90) % 3
    hidden = hidden + 4 * torch.stack([labels, labels**2], dim=1)
    turned = 7 * hidden @ torch.tensor([[0.6, 0.8], [-0.8, 0.6]], dtype=torch.float64) + 5
    before, after = class_geometry(hidden, labels), class_geometry(turned, labels)
    for name in ("relative_spread", "thickness", "rest_share"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), rel=1e-9)
    assert after.spread == pytest.approx(7 * before.spread, rel=1e-9)
    assert nearest_gap(turned, labels) == pytest.approx(nearest_gap(hidden, labels), rel=1e-9)
    assert occupied_share(turned, labels) == pytest.approx(occupied_share(hidden, labels), rel=1e-9)
    assert ellipse_area(turned) == pytest.approx(49 * ellipse_area(hidden), rel=1e-9)


def test_the_ellipse_of_a_normal_cloud() -> None:
    points = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 0.5])
    assert ellipse_area(points) == pytest.approx(math.pi * 6 * 1, rel=0.02)  # half axes of two deviations
    inside = (points / torch.tensor([6.0, 1.0])).norm(dim=1) < 1
    assert float(inside.float().mean()) == pytest.approx(1 - math.exp(-2), abs=0.005)


def test_an_ellipse_on_a_line_has_no_area() -> None:
    assert ellipse_area(torch.arange(10.0)[:, None] * torch.tensor([1.0, 2.0])) == pytest.approx(0, abs=1e-6)


def test_occupied_share_of_two_crosses() -> None:
    hidden = two_crosses(10)
    one, both = torch.cov(CROSS.T), torch.cov(hidden.T)
    assert occupied_share(hidden, LABELS) == pytest.approx(2 * math.sqrt(float(one.det() / both.det())), rel=1e-6)


def test_the_gap_to_the_nearest_of_three_classes() -> None:
    steps = torch.linspace(-1, 1, 101)  # a class: 2 wide, its outer tenths 0.2
    hidden = torch.cat([torch.stack([steps + at, 0 * steps], dim=1) for at in (0.0, 5.0, 25.0)])
    labels = torch.arange(3).repeat_interleave(101)
    separation = (5 + 20 + 25) / 3
    near, far = 5 - 1.6, 20 - 1.6  # between the quantiles that leave a tenth
    assert nearest_gap(hidden, labels) == pytest.approx((near + near + far) / 3 / separation, rel=1e-4)
    assert nearest_gap(hidden, labels, tail=0.0) == pytest.approx((3 + 3 + 18) / 3 / separation, rel=1e-4)
    folded = torch.cat([hidden[:101], hidden[:101] + torch.tensor([0.5, 0])])
    assert nearest_gap(folded, labels[:202]) == pytest.approx((0.5 - 1.6) / 0.5, rel=1e-4)  # they overlap


def test_without_mnist_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="mnist"):
        run(Place("cpu", True, tmp_path, tmp_path, str(tmp_path), 1, lambda line: None))


@pytest.mark.slow(4)
def test_a_quick_run(real_data: Path, tmp_path: Path) -> None:
    outcome = run(Place("cpu", True, tmp_path, tmp_path, str(real_data), 1, lambda line: None))
    json.dumps(outcome.values, allow_nan=False)
    assert set(outcome.values["measured"]) == set(TASKS)
    for arms in outcome.values["measured"].values():
        assert set(arms) == set(ARMS)
        assert {len(runs) for runs in arms.values()} == {outcome.values["settings"]["seeds"]}
        assert len({run["relative_spread"] for runs in arms.values() for run in runs}) == 3 * len(arms["no mixup"])
    for finding in outcome.findings:
        assert finding.n == outcome.values["settings"]["seeds"]
        assert "nan" not in finding.ours + finding.interval
    assert outcome.figures == ["bottleneck.png"]
    data = (tmp_path / "bottleneck.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) <= 150_000
