"""The tables in the docs are those that the JSON in results/ makes, and every figure that they show is there."""

import re
from pathlib import Path

import pytest

from mmgan.experiments.catalogue import EXPERIMENTS
from mmgan.experiments.framework.documents import fill, read_results

pytestmark = pytest.mark.slow(2)

ROOT = Path(__file__).parents[2]
DOCUMENTS = {
    path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "reproduction").glob("*.md"))
}
RESULTS = read_results(ROOT / "results")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_tables_are_made_from_the_results(name: str) -> None:
    assert fill(DOCUMENTS[name], RESULTS, "../../results") == DOCUMENTS[name], "make tables"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_its_place(name: str) -> None:
    assert sum(f"<!-- result: {name} -->" in document for document in DOCUMENTS.values()) == 1


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_full_ones_and_their_figures_small(name: str) -> None:
    assert not RESULTS[name].quick
    assert RESULTS[name].commit is not None
    for figure in RESULTS[name].figures:
        assert (ROOT / "results" / name / figure).stat().st_size <= 150_000


def test_no_result_tells_where_it_was_made() -> None:
    for path in (ROOT / "results").glob("*/results.json"):
        assert not re.search(r"/(work|tmp|home|root)/", path.read_text()), path
