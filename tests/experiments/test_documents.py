"""The tables in the docs are those that the JSON in results/ makes, and every figure that they show is there."""

import re
from pathlib import Path

import pytest

from mmgan.experiments.catalogue import EXPERIMENTS
from mmgan.experiments.framework.documents import fill, read_results

pytestmark = pytest.mark.slow(2)

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "reproduction.md").read_text(encoding="utf-8")
RESULTS = read_results(ROOT / "results")


def test_the_tables_are_made_from_the_results() -> None:
    assert fill(DOCUMENT, RESULTS, "../results") == DOCUMENT, "make docs"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_its_place(name: str) -> None:
    assert f"<!-- result: {name} -->" in DOCUMENT


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_full_ones_and_their_figures_small(name: str) -> None:
    assert not RESULTS[name].quick
    assert RESULTS[name].commit is not None
    for figure in RESULTS[name].figures:
        assert (ROOT / "results" / name / figure).stat().st_size <= 150_000


def test_no_result_tells_where_it_was_made() -> None:
    for path in (ROOT / "results").glob("*/results.json"):
        assert not re.search(r"/(work|tmp|home|root)/", path.read_text()), path
