import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from benchmarks import commands, data, intervals, memory, score_scaling, scoring, whole_scores
from benchmarks.inception_weights import write_random_weights
from mmgan.data import make_batches
from mmgan.scoring import Features, ScoreSettings


@pytest.fixture
def small_inception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeatureExtractorInceptionV3, "INPUT_IMAGE_SIZE", 107)  # it takes any size from 75 up


@pytest.mark.soak
@pytest.mark.usefixtures("small_inception")
def test_scoring_rows() -> None:
    speed, kept, difference, frechet = scoring.measure("cpu", quick=True)
    assert (speed.at_least, kept.at_least, difference.at_most, frechet.at_most) == (1.5, 2.8, 1e-4, 1.2)
    assert (speed.detail["batches"], kept.detail["batches"]) == (64, 32)  # 2,048 images a side in batches of 64
    assert difference.value <= 1e-4
    names = {"inception_score_mean", "frechet_inception_distance", "kernel_inception_distance_mean"}
    assert names < set(difference.detail["scores"]["plain"])
    assert difference.detail["scores"]["plain"]["kernel_inception_distance_mean"] > 1e-3  # the two sets are told apart


class Counting:
    name, digest, fingerprint, dims, num_classes = "counting", "0", "counting", 5, 3

    def __init__(self) -> None:
        self.images = 0

    def __call__(self, images: Tensor) -> Features:
        self.images += len(images)
        x = images.float().flatten(1)
        return Features(x[:, :5] + x.mean(1, keepdim=True), x[:, 5:8] / 255)


def test_every_image_goes_through_the_extractor_once_and_kept_ones_not_again(tmp_path: Path) -> None:
    extractor, settings = Counting(), ScoreSettings(splits=2, kid_subset_size=20)
    fake, real = whole_scores.noise_images("fakes", 70, 0), whole_scores.noise_images("reals", 90, 1)
    first = whole_scores.our_scores(extractor, fake, real, tmp_path, settings)
    assert extractor.images == 160
    assert whole_scores.our_scores(extractor, fake, real, tmp_path, settings) == first
    assert extractor.images == 160 + 70


def test_random_weights_are_the_same_every_time_and_leave_the_generator_alone(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    first, second = (torch.load(write_random_weights(tmp_path / name)) for name in "ab")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.soak
def test_data_rows() -> None:
    against, share = data.measure("cpu", quick=True)
    assert (against.at_least, share.at_most) == (20, 5)
    assert against.value > 0
    assert share.value > 0


def test_torchvisions_side_makes_the_images_that_ours_may_make() -> None:
    """Each image of the loader is a crop of its padded, perhaps mirrored original, in [-1, 1]; and so is ours."""
    images = data.colour_noise(4)
    theirs = torch.stack([data.PillowImages(images)[i][0] for i in range(4)])
    batches = make_batches(images, 4, seed=0, flip=True, crop_padding=data.PADDING)
    ours, order = batches.batch(0)[0], batches.order.indices(0)
    padded = torch.nn.functional.pad(images.pixels, (data.PADDING,) * 4) / 127.5 - 1
    for made, sources in ((theirs, range(4)), (ours, order.tolist())):
        for x, i in zip(made, sources, strict=True):
            crops = padded[i].unfold(1, 32, 1).unfold(2, 32, 1).permute(1, 2, 0, 3, 4)  # (9, 9, 3, 32, 32)
            candidates = torch.cat([crops.flatten(0, 1), crops.flip(-1).flatten(0, 1)])
            assert (candidates - x).abs().amax((1, 2, 3)).min() < 1e-6


@pytest.mark.soak
def test_memory_row_is_of_a_process_of_its_own() -> None:
    (row,) = memory.measure("cpu", quick=True)
    assert 0 <= row.value < 1.5
    assert row.detail["samples"] == 500
    assert row.at_most == 1.5


@pytest.mark.soak
def test_command_rows() -> None:
    assert [(row.what, row.at_most) for row in commands.measure("cpu", quick=True)] == [
        ("mmgan --help", 1.0),
        ("mmgan train-gan --help", 3.0),
    ]


@pytest.mark.soak
def test_score_scaling_rows_and_plot(tmp_path: Path) -> None:
    rows = score_scaling.measure("cpu", quick=True)
    assert all(math.isfinite(row.value) and len(row.detail["seconds"]) == 2 for row in rows)
    score_scaling.plot(rows, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size < 150_000


def test_interval_row_has_every_measure() -> None:
    (row,) = intervals.measure("cpu", quick=True)
    assert row.at_most == 90
    assert len(row.detail["scores"]) == 11
    assert math.isfinite(row.value)


def test_slopes_are_of_logarithms() -> None:
    assert score_scaling.slope((1, 10, 100), [3, 300, 30_000]) == pytest.approx(2)
