import pytest
import torch
from torch import Tensor
from torch_fidelity.metric_prc import prc_features_to_metric

from mmgan.errors import UserError
from mmgan.scoring.jackknife import GROUPS, jackknife, random_groups
from mmgan.scoring.manifold import manifold_scores


def rows(count: int, seed: int, scale: float = 1.0, dims: int = 4) -> Tensor:
    return scale * torch.randn(count, dims, generator=torch.Generator().manual_seed(seed))


def by_hand(fake: Tensor, real: Tensor) -> dict[str, float]:
    """Naeem et al. 2020, Equations 3 to 6, from whole matrices in float64."""
    x, y = fake.double(), real.double()
    between, within_x, within_y = ((a[:, None] - b[None]).norm(dim=2) for a, b in ((x, y), (x, x), (y, y)))
    precision_radius, density_radius = (within_y.sort(1).values[:, k] for k in (3, 5))
    recall_radius = within_x.sort(1).values[:, 3]
    return {
        "precision": (between <= precision_radius).any(1).double().mean().item(),
        "recall": (between <= recall_radius[:, None]).any(0).double().mean().item(),
        "density": ((between < density_radius).double().sum(1) / 5).mean().item(),
        "coverage": (between.min(0).values < density_radius).double().mean().item(),
    }


def values(fake: Tensor, real: Tensor) -> dict[str, float]:
    return {name: estimate.value for name, estimate in manifold_scores(fake, real).items()}


@pytest.mark.parametrize(("fakes", "reals"), [(70, 90), (90, 70), (1003, 150), (150, 1003)])
def test_the_formulas(fakes: int, reals: int) -> None:
    fake, real = rows(fakes, 0, 1.3), rows(reals, 1)
    assert values(fake, real) == pytest.approx(by_hand(fake, real), abs=1e-12)


def test_precision_and_recall_are_those_of_torch_fidelity() -> None:
    fake, real = rows(1100, 0, 1.2).relu(), rows(1200, 1).relu()  # with ties: many rows are zero
    theirs = prc_features_to_metric(
        fake, real, prc_neighborhood=3, prc_batch_size=1000, save_cpu_ram=True, verbose=False
    )
    ours = values(fake, real)
    assert (ours["precision"], ours["recall"]) == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-7)


def test_what_each_measure_sees() -> None:
    one, other = rows(100, 0), rows(100, 1) + 50
    whole = torch.cat([rows(100, 2), rows(100, 3) + 50])
    dropped = values(one, whole)
    assert dropped["precision"] > 0.85
    assert dropped["recall"] < 0.55
    assert dropped["coverage"] < 0.55
    strays = values(torch.cat([one, 200 + other]), one)
    assert strays["precision"] == 0.5
    assert strays["recall"] == strays["coverage"] == 1
    assert values(rows(400, 5), rows(400, 6))["density"] == pytest.approx(1, abs=0.15)


def test_one_outlier_among_the_reals_fools_precision_and_not_density() -> None:
    """Section 3.1 of Naeem et al.: the ball of an outlier holds all that lies far away."""
    real = torch.cat([rows(200, 0), torch.full((1, 4), 12.0)])
    far = rows(200, 1) * 0.1 + 6
    found = values(far, real)
    assert found["precision"] == 1
    assert found["density"] < 0.25


@pytest.mark.parametrize("wanted", [("precision",), ("density",), ("precision", "density")])
def test_replicates_are_the_scores_without_a_group(wanted: tuple[str, ...]) -> None:
    fake, real = rows(61, 0, 1.2), rows(1043, 1)
    groups = random_groups(61, 1043, 7)
    flags = {name: name in wanted for name in ("precision", "density")}
    found = manifold_scores(fake, real, **flags, groups=groups)
    kept = [(torch.from_numpy(groups[0] != g), torch.from_numpy(groups[1] != g)) for g in range(GROUPS)]
    again = [manifold_scores(fake[i], real[j], **flags) for i, j in kept]
    assert set(found) == {name for name in values(fake, real) if name in again[0]}
    for name, estimate in found.items():
        expected = jackknife(estimate.value, [other[name].value for other in again])
        assert estimate.deviation == pytest.approx(expected.deviation, rel=1e-9)
        assert estimate.deviation > 0


def test_groups_are_even_random_and_apart() -> None:
    fakes, reals = random_groups(105, 105, 0)
    for groups in (fakes, reals):
        assert sorted({int((groups == g).sum()) for g in range(GROUPS)}) == [5, 6]
    assert (fakes != reals).any()
    assert (random_groups(105, 105, 1)[0] != fakes).any()
    assert (random_groups(105, 105, 0)[0] == fakes).all()
    with pytest.raises(UserError, match="39 images are too few for intervals: 40 of each kind"):
        random_groups(100, 39, 0)
