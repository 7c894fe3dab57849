import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_fidelity.metric_isc import isc_features_to_metric

from mmgan.errors import UserError
from mmgan.scoring import Features, Reference, ScoreSettings, inception_score, score_features

FEW = ScoreSettings(splits=2, kid_subsets=5, kid_subset_size=30)


def features(count: int, seed: int, scale: float = 1.0, dims: int = 6, classes: int = 4) -> Features:
    generator = torch.Generator().manual_seed(seed)
    return Features(
        scale * torch.randn(count, dims, generator=generator), 3 * torch.randn(count, classes, generator=generator)
    )


def kid_by_hand(x: Tensor, y: Tensor) -> float:
    """Unbiased MMD^2 with k(a, b) = (a.b / d + 1)^3 over all rows (Binkowski et al. 2018)."""
    x, y = x.double(), y.double()
    kernel = [((a @ b.T) / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]
    within = [(k.sum() - k.trace()) / (len(k) * (len(k) - 1)) for k in kernel[:2]]
    return (within[0] + within[1] - 2 * kernel[2].mean()).item()


def test_identical_sets_are_at_no_distance() -> None:
    x = features(200, 0)
    scores = score_features(x, Reference.of(x.features), ScoreSettings(kid_subset_size=200, kid_subsets=3, prc=True))
    assert scores.values["frechet_inception_distance"] == pytest.approx(0, abs=1e-9)
    # The unbiased estimate on the very same rows is 2 (mean off the diagonal - mean), a little below zero.
    kernel = (x.features.double() @ x.features.double().T / 6 + 1) ** 3
    off_diagonal = (kernel.sum() - kernel.trace()) / (200 * 199)
    expected = 2 * (off_diagonal - kernel.mean()).item()
    assert scores.values["kernel_inception_distance_mean"] == pytest.approx(expected, rel=1e-3)
    assert -0.15 < expected < 0
    assert scores.values["precision"] == scores.values["recall"] == 1
    assert scores.notes == ()


def test_kid_of_whole_sets_is_the_formula() -> None:
    x, y = features(60, 0), features(60, 1, scale=1.4)
    values = score_features(x, Reference.of(y.features), ScoreSettings(kid_subset_size=60, kid_subsets=3)).values
    assert values["kernel_inception_distance_mean"] == pytest.approx(kid_by_hand(x.features, y.features), rel=1e-4)
    assert values["kernel_inception_distance_std"] == pytest.approx(0, abs=1e-5)


def test_scores_see_a_difference() -> None:
    x = features(200, 0)
    near, far = (score_features(x, Reference.of(features(200, 1, s).features), FEW).values for s in (1.0, 3.0))
    for name in ("frechet_inception_distance", "kernel_inception_distance_mean"):
        assert near[name] < 0.2 * far[name]


@pytest.mark.parametrize("splits", [1, 3, 10])
def test_inception_score_is_that_of_torch_fidelity(splits: int) -> None:
    logits = features(101, 0).logits
    assert inception_score(logits, splits, 5) == pytest.approx(
        isc_features_to_metric(logits, splits, True, 5), rel=1e-12
    )


def test_inception_score_of_certain_balanced_classes_is_their_number() -> None:
    logits = 100.0 * torch.eye(5).repeat(40, 1)
    assert inception_score(logits, 1, 0)["inception_score_mean"] == pytest.approx(5)
    assert inception_score(torch.zeros(50, 5), 10, 0) == pytest.approx(
        {"inception_score_mean": 1.0, "inception_score_std": 0.0}
    )


def test_precision_and_recall_are_not_swapped() -> None:
    generator = torch.Generator().manual_seed(0)
    real = torch.cat([torch.randn(60, 4, generator=generator), 50 + torch.randn(60, 4, generator=generator)])
    one_mode = Features(torch.randn(60, 4, generator=generator), torch.randn(60, 3, generator=generator))
    values = score_features(one_mode, Reference.of(real), ScoreSettings(prc=True, kid_subset_size=50)).values
    assert values["precision"] > 0.8
    assert values["recall"] < 0.55


def test_precision_by_hand() -> None:
    x, y = features(40, 0).features, features(50, 1, 1.3).features
    radius = torch.cdist(y.double(), y.double()).sort(1).values[:, 3]  # to the third neighbour besides itself
    inside = (torch.cdist(x.double(), y.double()) <= radius).any(1).double().mean().item()
    fake = Features(x, features(40, 0).logits)
    values = score_features(fake, Reference.of(y), ScoreSettings(prc=True, kid_subset_size=40)).values
    assert values["precision"] == pytest.approx(inside, abs=1e-6)


def test_a_seed_decides_and_global_streams_do_not(rng_untouched: None) -> None:
    x, y = features(100, 0), Reference.of(features(100, 1).features)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = score_features(x, y, FEW).values
    torch.rand(3, generator=torch.Generator().manual_seed(1))
    assert score_features(x, y, FEW).values == first
    other = score_features(x, y, ScoreSettings(splits=2, kid_subsets=5, kid_subset_size=30, seed=1)).values
    assert other["kernel_inception_distance_mean"] != first["kernel_inception_distance_mean"]
    assert other["inception_score_std"] != first["inception_score_std"]
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_notes_tell_what_weakens_a_score() -> None:
    x = features(10, 0, dims=12)
    notes = score_features(x, Reference.of(features(100, 1, dims=12).features)).notes
    assert len(notes) == 2
    assert "rank-deficient" in notes[0]
    assert "10 samples" in notes[0]
    assert "12" in notes[0]
    assert "subsets hold 10 images, not 1000" in notes[1]


@pytest.mark.parametrize(("fakes", "reals"), [(40, 25), (25, 40)])
def test_kid_subsets_are_no_larger_than_the_smaller_set(fakes: int, reals: int) -> None:
    scores = score_features(features(fakes, 0), Reference.of(features(reals, 1).features), ScoreSettings(kid_subsets=3))
    assert scores.notes == ("KID subsets hold 25 images, not 1000: there are no more",)


@pytest.mark.parametrize(
    ("settings", "fakes", "reals", "message"),
    [
        (ScoreSettings(), 9, 100, "9 samples cannot make 10 IS splits"),
        (ScoreSettings(splits=1), 1, 100, "1 samples are too few"),
        (ScoreSettings(), 100, 1, "1 real images are too few"),
        (ScoreSettings(splits=1, prc=True), 3, 100, "at least 6"),
        (ScoreSettings(intervals=True), 39, 100, "at least 40"),
    ],
)
def test_too_few_images_are_refused(settings: ScoreSettings, fakes: int, reals: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        settings.check(fakes, reals)
    with pytest.raises(UserError, match=message):
        score_features(
            features(fakes, 0), Reference(features(reals, 1).features, Reference.of(torch.rand(5, 6)).moments), settings
        )


@pytest.mark.parametrize("wrong", [{"splits": 0}, {"kid_subsets": 0}, {"kid_subset_size": 1}, {"seed": -1}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        ScoreSettings(**wrong)


def test_features_of_two_extractors_are_refused() -> None:
    with pytest.raises(UserError, match="one extractor for both sides"):
        score_features(features(20, 0, dims=6), Reference.of(features(20, 0, dims=7).features), FEW)


def test_nothing_infinite_is_reported() -> None:
    x = features(20, 0)
    huge = Features(x.features * 1e30, x.logits)  # finite features whose kernel overflows
    with pytest.raises(UserError, match="too extreme"), np.errstate(all="ignore"):
        score_features(huge, Reference.of(x.features), FEW)
    assert all(math.isfinite(value) for value in score_features(x, Reference.of(x.features), FEW).values.values())


def test_without_logits_there_is_no_class_score() -> None:
    x, y = features(50, 0, classes=0), Reference.of(features(60, 1).features)
    assert not [name for name in score_features(x, y, FEW).values if "score" in name]
    named = score_features(features(50, 0), y, FEW, extractor="timm:some").values
    assert list(named)[:2] == ["class_score:timm:some_mean", "class_score:timm:some_std"]


def test_intervals_of_rank_deficient_sets_are_left_out_with_a_note() -> None:
    x, y = features(60, 0, dims=61), features(200, 1, dims=61)
    wanted = ScoreSettings(splits=2, mmd=True, infinite=True, intervals=True, kid_subset_size=30)
    scores = score_features(x, Reference.of(y.features), wanted)
    assert set(scores.intervals) == {"gaussian_mmd"}
    assert any("no interval" in note for note in scores.notes)
    assert any("its smallest subset, 30, is no larger than 61" in note for note in scores.notes)
