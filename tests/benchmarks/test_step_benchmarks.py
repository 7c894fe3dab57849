"""The rows of the parts that measure steps and networks, in tiny settings."""

import math

import pytest

from benchmarks import core, diagnosis, extractors, launches, regularized_step, safety
from benchmarks.rows import Row
from mmgan.regularizers import Regularizer

pytestmark = pytest.mark.soak


def checked(rows: list[Row]) -> list[Row]:
    assert all(math.isfinite(row.value) and row.value > 0 for row in rows)
    return rows


def test_guard_and_slices() -> None:
    guard, sliced = checked(safety.measure("cpu", quick=True))
    assert guard.at_most == 1.01
    assert sliced.detail["multiply-adds"] == pytest.approx(1, abs=0.05)


def test_core() -> None:
    rows = checked(core.measure("cpu", quick=True))
    assert [row.arithmetic for row in rows if "along" in row.what] == ["1.50 x"]
    assert sum("MixupTerm" in row.what for row in rows) == 2
    assert all(row.arithmetic for row in rows)


def test_every_regularizer_with_and_without_mixing() -> None:
    rows = checked(regularized_step.measure("cpu", quick=True))
    assert len(rows) == 2 * len(regularized_step.ARMS)
    assert len(regularized_step.ARMS) > len(Regularizer.__subclasses__())


def test_diagnosis_and_extractors() -> None:
    (row,) = checked(diagnosis.measure("cpu", quick=True))
    assert row.detail["multiply-adds"] > 1
    assert all(row.detail["multiply-adds"] > 1e6 for row in checked(extractors.measure("cpu", quick=True)))


def test_most_launches_are_the_networks() -> None:
    for row in checked(launches.measure("cpu", quick=True)):
        assert row.value / 2 < row.detail["in the networks"] < row.value
