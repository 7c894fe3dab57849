import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor
from torch_fidelity import metric_fid
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from mmgan.scoring import frechet
from mmgan.scoring.frechet import Moments, frechet_distance, moments


def features(count: int, dims: int, seed: int, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.randn(dims, dims, generator=torch.Generator().manual_seed(7)) * torch.logspace(0, -2, dims)
    return torch.randn(count, dims, generator=generator) @ spectrum + shift


def by_sqrtm(x: Tensor, y: Tensor) -> float:
    a, b = x.double().numpy(), y.double().numpy()
    c1, c2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    mean = a.mean(0) - b.mean(0)
    return float(mean @ mean + np.trace(c1 + c2 - 2 * scipy.linalg.sqrtm(c1 @ c2).real))


def by_torch_fidelity(x: Tensor, y: Tensor) -> float:
    statistics = [fid_features_to_statistics(z) for z in (x, y)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


@pytest.fixture
def no_eigenvalues_of_products(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the fast way was not taken")

    monkeypatch.setattr(metric_fid, "fid_statistics_to_metric", refuse)


@pytest.mark.usefixtures("no_eigenvalues_of_products")
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_full_rank_equals_the_matrix_square_root(shift: float) -> None:
    x, y = features(400, 40, 0, shift), 1.2 * features(300, 40, 1)
    assert frechet_distance(moments(x), moments(y)) == pytest.approx(by_sqrtm(x, y), rel=1e-6)


@pytest.mark.usefixtures("no_eigenvalues_of_products")
def test_is_symmetric_zero_on_itself_and_scales_with_the_square() -> None:
    x, y = moments(features(400, 40, 0)), moments(1.5 * features(300, 40, 1, 0.1))
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-10)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-10 * np.trace(x.covariance))
    x3, y3 = moments(3 * features(400, 40, 0)), moments(4.5 * features(300, 40, 1, 0.1))
    assert frechet_distance(x3, y3) == pytest.approx(9 * frechet_distance(x, y), rel=1e-5)


@pytest.mark.parametrize("rows", [20, 400])  # below and above the number of dimensions
def test_of_anything_with_itself_is_not_below_zero(rows: int) -> None:
    for seed in range(20):
        m = moments(torch.randn(rows, 40, generator=torch.Generator().manual_seed(seed)))
        assert 0 <= frechet_distance(m, m) < 1e-3
        assert f"{frechet_distance(m, m):.3f}" == "0.000"


@pytest.mark.usefixtures("no_eigenvalues_of_products")
def test_of_gaussians_that_differ_in_mean_and_scale_alone_is_known() -> None:
    x = features(500, 6, 0)
    expected = 6 * 2.0**2 + (1.5 - 1) ** 2 * np.trace(np.cov(x.double().numpy(), rowvar=False))
    mean = x.mean(0)
    assert frechet_distance(moments(x), moments(1.5 * (x - mean) + mean + 2)) == pytest.approx(expected, rel=1e-5)


def test_rank_deficient_is_torch_fidelity_to_the_last_digit_that_means_anything() -> None:
    x, y = features(20, 40, 0), 1.2 * features(25, 40, 1)
    assert moments(x).rank_deficient
    assert moments(features(40, 40, 0)).rank_deficient
    assert not moments(features(41, 40, 0)).rank_deficient
    got = frechet_distance(moments(x), moments(y))
    assert got == pytest.approx(by_torch_fidelity(x, y), rel=1e-7)
    a, b = ((z - z.mean(0)).double() / (len(z) - 1) ** 0.5 for z in (x, y))
    exact = (x.double().mean(0) - y.double().mean(0)).square().sum() + a.square().sum() + b.square().sum()
    exact -= 2 * torch.linalg.svdvals(a @ b.T).sum()  # tr (C1 C2)^(1/2) is the nuclear norm of A B^T
    assert got == pytest.approx(exact.item(), rel=1e-5)


def test_dead_features_change_nothing() -> None:
    x, y = features(400, 20, 0), 1.2 * features(300, 20, 1)
    padded = [torch.cat([z, torch.zeros(len(z), 5)], dim=1) for z in (x, y)]
    assert frechet_distance(*map(moments, padded)) == pytest.approx(by_sqrtm(x, y), rel=1e-6)


def test_features_dead_on_one_side_alone_are_not_lost() -> None:
    x, y = features(400, 20, 0), features(300, 20, 1)
    dead = y.clone()
    dead[:, 3] = 0
    assert frechet_distance(moments(x), moments(dead)) == pytest.approx(by_torch_fidelity(x, dead), rel=1e-6)


def test_features_equal_but_for_rounding_count_as_singular(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cholesky succeeds on such a matrix, but its last pivot is noise."""
    calls = []

    def general(*args: object, **kwargs: object) -> dict[str, float]:
        calls.append(args)
        return {"frechet_inception_distance": 7.0}

    monkeypatch.setattr(metric_fid, "fid_statistics_to_metric", general)
    x = moments(features(400, 20, 0))
    mean, covariance = np.zeros(21), np.zeros((21, 21))
    covariance[:20, :20] = x.covariance
    covariance[20, :20] = covariance[:20, 20] = x.covariance[0]
    covariance[20, 20] = x.covariance[0, 0] * (1 + 1e-13)
    np.linalg.cholesky(covariance)
    assert frechet_distance(Moments(mean, covariance, 400), Moments(mean, np.eye(21), 400)) == 7
    assert frechet_distance(Moments(mean, np.eye(21), 400), Moments(mean, covariance, 400)) == 7
    assert len(calls) == 2


@pytest.mark.parametrize("count", [101, 128, 129])
def test_streamed_moments_equal_those_of_all_rows(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = features(count, 10, 0, shift=100.0)  # far from zero, where one-pass sums of squares fail
    monkeypatch.setattr(frechet, "ROWS", 100)
    streamed = moments(x)
    np.testing.assert_allclose(streamed.mean, x.double().numpy().mean(0), rtol=1e-13)
    np.testing.assert_allclose(streamed.covariance, np.cov(x.double().numpy(), rowvar=False), rtol=1e-9, atol=1e-12)
    assert streamed.count == count
