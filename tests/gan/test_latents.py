"""Truncated latents and paths between them, and the pictures that `mmgan sample` makes of both."""

import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from scipy import stats

from mmgan.commands import sample
from mmgan.gan.latents import closed_path, truncated


def draw(count: int, dim: int) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("limit", [0.3, 1.0, 2.5])
def test_truncated_latents_follow_the_law_that_is_cut(limit: float) -> None:
    z = draw(50, 7)
    found = truncated(z, limit)
    wanted = stats.truncnorm.ppf(stats.norm.cdf(z.double().numpy()), -limit, limit)
    torch.testing.assert_close(found, torch.from_numpy(wanted).float())
    assert found.abs().max() <= limit
    assert torch.equal(found.flatten().argsort(), z.flatten().argsort())


def test_no_limit_changes_nothing_but_rounding() -> None:
    torch.testing.assert_close(truncated(draw(50, 7), math.inf), draw(50, 7))


def test_a_path_runs_over_the_sphere_and_closes() -> None:
    z = draw(5, 12)
    path = closed_path(z, 4)
    assert path.shape == (20, 12)
    torch.testing.assert_close(path[::4], z)
    norms = z.norm(dim=1)
    for i in range(5):  # between two lengths there is no shorter one, as there is on a straight line
        ends = norms[i], norms[(i + 1) % 5]
        assert path[4 * i : 4 * i + 4].norm(dim=1).min() > 0.9 * min(ends)
    right_angle = closed_path(torch.eye(2), 2)
    torch.testing.assert_close(right_angle[1], torch.tensor([1.0, 1.0]) / math.sqrt(2))


def test_opposite_and_equal_latents_have_a_path() -> None:
    z = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    path = closed_path(z, 2)
    assert path.isfinite().all()
    torch.testing.assert_close(path[1], torch.zeros(2))
    torch.testing.assert_close(path[3], z[1])


@pytest.mark.slow(3)
def test_the_command_writes_grids_and_animations(tmp_path: Path, train, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert train(run, "--steps", "1", "--score-every", "0", "--sample-every", "0") == 0
    capsys.readouterr()

    assert sample.main([str(run), "--count", "3", "--interpolate", "4"]) == 0
    grid, animation = map(Path, capsys.readouterr().out.splitlines()[-2:])
    assert (grid.parent, grid.suffix, animation.suffix) == (run / "samples", ".png", ".gif")
    with Image.open(animation) as frames:
        assert frames.n_frames == 12
        assert frames.size[0] >= 256
        assert frames.info["loop"] == 0
    with Image.open(grid) as picture:
        assert picture.size[0] / picture.size[1] == pytest.approx(4 / 3, rel=0.05)

    assert sample.main([str(run), "--count", "2", "--interpolate", "3", "--out", str(tmp_path / "loop.png")]) == 0
    with Image.open(tmp_path / "loop.png") as frames:
        assert frames.n_frames == 6

    for name, flags in (("plain", []), ("cut", ["--truncation", "0.5"]), ("again", ["--truncation", "0.5"])):
        assert sample.main([str(run), "--count", "2", "--out", str(tmp_path / name), *flags]) == 0
    plain, cut, again = ((tmp_path / name / "000001.png").read_bytes() for name in ("plain", "cut", "again"))
    assert plain != cut == again

    capsys.readouterr()
    for flags, message in (
        (["--truncation", "0"], "--truncation 0.0 is out of range: it must be above 0"),
        (["--interpolate", "1"], "--interpolate 1 is out of range: it must be at least 2"),
        (["--interpolate", "4", "--count", "1"], "--count 1 leaves nothing to interpolate between"),
        (["--interpolate", "4", "--out", str(tmp_path / "loop.mp4")], "name a .gif or .png file"),
        (["--interpolate", "4", "--out", str(tmp_path / "loop.png")], "loop.png exists already"),
    ):
        assert sample.main([str(run), *flags]) == 2
        assert message in capsys.readouterr().err
