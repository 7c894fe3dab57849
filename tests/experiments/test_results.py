"""Verdicts over paired seeds, tables of them, and documents made from results.json."""

from dataclasses import asdict
from pathlib import Path

import pytest

from mmgan.errors import UserError
from mmgan.experiments.framework.documents import fill, markdown, overview, read_results, write_comparison
from mmgan.experiments.framework.outcome import Finding, Outcome, Place
from mmgan.experiments.framework.results import ExperimentResult, run_experiment
from mmgan.experiments.framework.verdicts import compare_arms, mean_sd


@pytest.mark.parametrize(
    ("arm", "claim", "verdict"),
    [
        ([1.0, 2.1, 2.9], "lower", "agrees"),
        ([1.0, 2.1, 2.9], "higher", "disagrees"),
        ([3.0, 4.1, 4.9], "higher", "agrees"),
        ([3.0, 4.1, 4.9], "lower", "disagrees"),
        ([2.1, 2.8, 4.1], "lower", "undecided"),
        ([2.1, 2.8, 4.1], "higher", "undecided"),
    ],
)
def test_the_verdict_is_where_the_whole_interval_lies(arm, claim, verdict):
    assert compare_arms("error, %", "less", arm, [2.0, 3.0, 4.0], claim).verdict == verdict


def test_pairs_count_not_means():
    seeds = [1.0, 5.0, 9.0, 20.0]
    assert compare_arms("x", "", [s - 0.1 for s in seeds], seeds, "lower").verdict == "agrees"


def test_what_is_written_of_a_comparison():
    finding = compare_arms("error, %", "2.95 against 4.83", [1.0, 2.0, 3.3], [2.0, 3.0, 4.0], "lower", digits=1)
    assert finding.ours == "2.1 ± 1.2 against 3.0 ± 1.0"
    assert finding.interval == "-0.9 [-1.3, -0.5]"  # t(2) = 4.303, sd 0.1732: half of it is 0.430
    assert finding.n == 3
    undecided = compare_arms("error, %", "", [2.1, 2.8, 4.4], [2.0, 3.0, 4.0], "lower")
    assert undecided.interval.startswith("+0.10 [-0.65, +0.85]; n = 3 would show 0.9")


def test_one_value_has_no_deviation():
    assert mean_sd([1.234]) == "1.23"


def place(folder: Path, quick: bool = False) -> Place:
    folder.mkdir(parents=True, exist_ok=True)
    return Place("cpu", quick, folder, folder, "data", 1, print)


def made(folder: Path, name: str = "spiral", quick: bool = False) -> ExperimentResult:
    findings = [Finding("a|b, %", "1", "2", 3, "[0, 1]", "agrees"), Finding("c", "", "3", 3, "", "disagrees")]
    outcome = Outcome(findings, {"x": [1.5]}, ["a.png"], ["one", "two"])
    return run_experiment(name, lambda _: outcome, place(folder, quick), ["mmgan", "reproduce", name])


def test_a_result_comes_back_as_it_was(tmp_path):
    written = made(tmp_path / "spiral")
    assert asdict(read_results(tmp_path)["spiral"]) == asdict(written)
    assert written.commit is None or len(written.commit.rstrip("+")) >= 10
    assert written.wall_seconds >= 0
    assert set(written.versions) >= {"mmgan", "torch", "python"}


def test_tables(tmp_path):
    result = made(tmp_path / "spiral")
    lines = markdown(result).splitlines()
    assert lines[2] == "| a\\|b, % | 1 | 2 | 3 | [0, 1] | agrees |"
    assert lines[3] == "| c | – | 3 | 3 | – | disagrees |"
    assert lines[5].startswith("`mmgan reproduce spiral`, 0 s (0 s of CPU time) on ")
    assert lines[-2:] == ["* one", "* two"]
    assert overview([result]).splitlines()[2].rstrip(" |").split(" | ")[2:5] == ["1", "0", "1"]


def test_documents_are_filled_in_between_the_markers(tmp_path):
    made(tmp_path / "spiral")
    results = read_results(tmp_path)
    document = "before\n<!-- result: spiral -->\nold\n<!-- end -->\nbetween\n<!-- result: overview -->\n<!-- end -->\n"
    filled = fill(document, results, "../results")
    assert filled == fill(filled, results, "../results")
    assert "old" not in filled
    assert f"<!-- result: spiral -->\n{markdown(results['spiral'])}\n\n![" in filled
    assert "](../results/spiral/a.png)\n<!-- end -->\nbetween\n" in filled
    assert "Not run at this scale yet." in fill("<!-- result: gan -->\n<!-- end -->\n", results, "")
    with pytest.raises(UserError, match="wants the result 'quux'; those at hand are spiral"):
        fill("<!-- result: quux -->\n<!-- end -->\n", results, "")


def test_the_comparison_leaves_quick_results_out(tmp_path):
    made(tmp_path / "gan-paper", "gan")
    made(tmp_path / "spiral")
    made(tmp_path / "theorem-quick", "theorem", quick=True)
    text = write_comparison(tmp_path).read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## spiral", "## gan-paper"]
