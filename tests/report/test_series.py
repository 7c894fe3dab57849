"""Thinned columns against plain loops; the choice of items; ticks and scales."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmgan.report.axes import Scale, ends_of
from mmgan.report.chart import Chart, Line
from mmgan.report.plot import plot
from mmgan.report.series import POINTS, curves, group_size, how_drawn, thinned
from mmgan.report.spacing import evenly_spaced


@given(st.integers(1, 700), st.integers(0, 99), st.floats(0, 1))
def test_groups_are_those_of_a_plain_loop(count: int, seed: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    values = np.where(rng.uniform(size=count) < missing, math.nan, rng.normal(size=count)).tolist()
    steps = np.arange(1, len(values) + 1, dtype=np.float64)
    got, size = thinned(steps, np.array(values)), -(-len(values) // POINTS)
    expected = []
    for first in range(0, len(values), size):
        known = [value for value in values[first : first + size] if not math.isnan(value)]
        if known:
            expected.append((min(first + size, len(values)), sum(known) / len(known), min(known), max(known)))
    assert got.group == size
    assert len(got.at) == len(expected) <= POINTS
    for row, (at, mean, low, high) in zip(zip(got.at, got.mean, got.low, got.high, strict=True), expected, strict=True):
        assert row == (at, pytest.approx(mean, abs=1e-9), low, high)


@pytest.mark.parametrize(("count", "size"), [(1, 1), (120, 1), (121, 2), (1200, 10), (50_000, 417)])
def test_a_point_stands_for_few_steps(count: int, size: int) -> None:
    assert group_size(count) == size


@given(st.integers(0, 60), st.integers(2, 8))
def test_items_are_evenly_spaced_with_both_ends(count: int, most: int) -> None:
    chosen = evenly_spaced(range(count), most)
    assert len(chosen) == min(count, most)
    if count:
        assert chosen[0] == 0
        assert chosen[-1] == count - 1
    gaps = [b - a for a, b in pairwise(chosen)]
    assert not gaps or max(gaps) - min(gaps) <= 1


@given(st.floats(-1e6, 1e6), st.floats(1e-4, 1e6), st.booleans())
def test_ticks_are_round_inside_and_told_apart(low: float, width: float, whole: bool) -> None:
    ticks = Scale(low, low + width, 0, 300).ticks(5, whole=whole)
    assert len(ticks) <= 6
    assert len({tick.text for tick in ticks}) == len(ticks)
    assert whole or len(ticks) >= 2
    for tick in ticks:
        assert -0.1 <= tick.at <= 300.1
        value = float(tick.text.replace(",", ""))
        assert abs(300 * (value - low) / width - tick.at) < 3  # its text is where it stands
        assert not whole or value == round(value)


def test_a_logarithmic_axis_has_powers() -> None:
    ticks = Scale(0.005, 2000, 0, 1, log=True).ticks(9)
    assert [tick.text for tick in ticks] == ["0.01", "0.1", "1", "10", "100", "1000"]
    assert ends_of([0.0, -1.0, 5.0], log=True) == (4.0, 6.25)


@pytest.mark.parametrize("values", [[1.0], [1.0, 1.0], [math.nan, 2.0, 1.0], [0.0]])
def test_short_and_constant_curves_have_finite_shapes(values: list[float]) -> None:
    steps = np.arange(1, len(values) + 1, dtype=np.float64)
    chart = curves(steps, {"a": np.array(values), "none": np.full(len(values), math.nan)}, "step", "loss")
    assert chart is not None
    assert [line.name for line in chart.lines] == ["a"]
    drawn = plot(chart)
    assert "nan" not in repr(drawn)
    assert "inf" not in repr(drawn)
    assert sum(shape.kind == "dot" for shape in drawn.shapes) == np.isfinite(values).sum()


def test_what_is_said_of_a_curve_is_true() -> None:
    few = np.arange(1.0, 101.0)
    chart = curves(few, {"a": few}, "step", "loss")
    assert chart is not None
    assert how_drawn(chart, few) == "Each step."
    assert chart.lines[0].low is None
    many = np.arange(1.0, 1001.0)
    calm = curves(many, {"a": np.sin(many)}, "step", "loss")
    values = np.sin(many)
    values[500] = 1e6
    wild = curves(many, {"a": values}, "step", "loss")
    assert calm is not None
    assert wild is not None
    assert how_drawn(calm, many) == "Lines: means of 9 steps each; bands: their range."
    assert how_drawn(wild, many).endswith("Single outliers lie beyond the axes.")
    assert wild.y_range == pytest.approx(calm.y_range, abs=0.01)  # one outlier does not flatten the curve


def test_values_that_are_missing_are_not_drawn() -> None:
    line = Line("a", [1, 2, 3, 4], [1.0, None, math.nan, 2.0], errors=[(0.5, 1.5), None, None, None], look="dots")
    kinds = [shape.kind for shape in plot(Chart("x", "y", [line])).shapes]
    assert sorted(kinds) == ["dot", "dot", "polyline", "stroke"]
