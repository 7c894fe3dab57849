import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from torch import Tensor

from mmgan.draws import numpy_stream
from mmgan.errors import UserError
from mmgan.scoring.extrapolated import frechet_extrapolated
from mmgan.scoring.frechet import Moments, frechet_distance, moments
from mmgan.scoring.influence import frechet_influences, sampling_deviation


def rows(count: int, seed: int, shift: float = 0.0, dims: int = 6) -> Tensor:
    x = torch.randn(count, dims, generator=torch.Generator().manual_seed(seed))
    return x * torch.linspace(0.5, 1.5, dims) + shift


def test_the_intercept_of_a_regression_over_subsets() -> None:
    fake, real = rows(300, 0, 0.2), moments(rows(400, 1))
    found = frechet_extrapolated(fake, real, seed=3)
    sizes = np.linspace(150, 300, 15).astype(int)
    distances = []
    for i, size in enumerate(sizes):
        chosen = numpy_stream(3, "frechet-subsets", step=i).permutation(300)[:size]
        distances.append(frechet_distance(moments(fake[chosen]), real))
    line = LinearRegression().fit(1 / sizes[:, None], distances)
    assert found.value == pytest.approx(line.intercept_, rel=1e-9)
    assert found.sizes.tolist() == sizes.tolist()
    assert found.weights.sum() == pytest.approx(1)
    assert frechet_extrapolated(rows(20_000, 0, dims=2), moments(rows(50, 1, dims=2)), 0).sizes[0] == 5000


def test_most_of_the_bias_goes() -> None:
    """Fakes from the real distribution itself: its true distance is 0, which the plain one misses by far."""
    x, real = rows(8000, 0, dims=20), moments(rows(200_000, 1, dims=20))
    parts = x.split(400)
    plain = np.mean([frechet_distance(moments(part), real) for part in parts])
    infinite = np.mean([frechet_extrapolated(part, real, 0).value for part in parts])
    assert plain > 0.2
    assert abs(infinite) < plain / 4


def contaminated(side: Moments, x: Tensor, share: float) -> Moments:
    """The moments of (1 - share) of the set and `share` of one row."""
    away = x.double().numpy() - side.mean
    covariance = (1 - share) * side.covariance + share * (1 - share) * np.outer(away, away)
    return Moments(side.mean + share * away, covariance, side.count)


@pytest.mark.parametrize("side", [0, 1])
def test_influences_are_derivatives(side: int) -> None:
    sets = [rows(120, 0, 0.3), 1.3 * rows(150, 1)]
    known = [moments(x) for x in sets]
    psi = frechet_influences(sets[0], known[0], sets[1], known[1])[side]
    share, derivatives = 1e-6, []
    for x in sets[side]:
        ends = []
        for sign in (-1, 1):
            moved = list(known)
            moved[side] = contaminated(known[side], x, sign * share)
            ends.append(frechet_distance(*moved))
        derivatives.append((ends[1] - ends[0]) / (2 * share))
    np.testing.assert_allclose(psi, np.array(derivatives) - np.mean(derivatives), atol=1e-4)
    assert psi.std() > 0.5


def test_weights_carry_first_order_changes_into_the_extrapolated_distance() -> None:
    """The deviation of the extrapolated distance is that of sum(weights * psi)."""
    psi = np.array([1.0, -1.0, 0.5, -0.5])
    others = np.array([2.0, -2.0])
    assert sampling_deviation(psi, others) == pytest.approx(np.sqrt(psi.var(ddof=1) / 4 + 8 / 2))
    weights = np.array([0.7, 0.1, 0.1, 0.1])
    assert sampling_deviation(psi, others, weights) == pytest.approx(np.sqrt(psi.var(ddof=1) * 0.52 + 8 / 2))


def test_no_interval_for_rank_deficient_sets() -> None:
    few, many = rows(6, 0), rows(50, 1)
    with pytest.raises(UserError, match="more images than features"):
        frechet_influences(few, moments(few), many, moments(many))
