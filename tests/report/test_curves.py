"""Smoothing against plain loops; the choice of grids; pictures that are pictures."""

import io
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmgan.report.curves import Panel, loss_curves, moving_mean, point_curves, smoothing_window
from mmgan.report.grids import evenly_spaced

VALUES = st.lists(st.one_of(st.floats(-1e3, 1e3), st.just(math.nan)), min_size=1, max_size=40)


@given(VALUES, st.sampled_from([1, 3, 7, 99]))
def test_moving_mean_is_the_mean_of_the_known_neighbours(values: list[float], window: int) -> None:
    got = moving_mean(np.array(values), window)
    for i, mean in enumerate(got):
        near = values[max(0, i - window // 2) : i + window // 2 + 1]
        known = [value for value in near if not math.isnan(value)]
        if known:
            assert mean == pytest.approx(sum(known) / len(known), abs=1e-9)
        else:
            assert math.isnan(mean)


@pytest.mark.parametrize(("count", "window"), [(0, 1), (99, 1), (100, 3), (1000, 21), (50_000, 1001)])
def test_the_window_is_odd_and_about_a_fiftieth(count: int, window: int) -> None:
    assert smoothing_window(count) == window


@given(st.integers(0, 60), st.integers(2, 8))
def test_items_are_evenly_spaced_with_both_ends(count: int, most: int) -> None:
    chosen = evenly_spaced(range(count), most)
    assert len(chosen) == min(count, most)
    if count:
        assert chosen[0] == 0
        assert chosen[-1] == count - 1
    gaps = [b - a for a, b in pairwise(chosen)]
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("values", [[1.0], [1.0, 1.0], [math.nan, 2.0, 1.0]])
def test_short_and_constant_curves_are_drawn_without_a_warning(values: list[float]) -> None:
    panels = [Panel("loss", {"a": values}), Panel("loss", {"b": values}, {"b": [0.1] * len(values)})]
    steps = range(1, len(values) + 1)
    for png in (loss_curves(steps, panels, "step"), point_curves(steps, panels, "step")):
        assert Image.open(io.BytesIO(png)).size == (1300, 429)


def test_the_same_curve_is_the_same_file() -> None:
    panels = [Panel("loss", {"a": [1.0, 2.0, 0.5]})]
    assert loss_curves([1, 2, 3], panels, "step") == loss_curves([1, 2, 3], panels, "step")


def test_one_outlier_does_not_flatten_the_curve() -> None:
    values = [1.0 + 0.01 * (i % 7) for i in range(1000)]
    plain = _ink(loss_curves(range(1000), [Panel("loss", {"a": values})], "step"))
    values[500] = 1e6
    assert _ink(loss_curves(range(1000), [Panel("loss", {"a": values})], "step")) > plain / 3


def _ink(png: bytes) -> int:
    """Pixels that are coloured as the first curve is, faint or strong."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    return int((pixels[:, :, 2] - pixels[:, :, 0] > 30).sum())
