"""What `mmgan evaluate` measured, in a classifier's page."""

import json
from pathlib import Path

import pytest

from mmgan.errors import UserError
from mmgan.report import write_report
from tests.support.pages import read_page
from tests.support.report_runs import classifier_entry, classifier_run, evaluation


def test_its_numbers_and_figures(tmp_path: Path) -> None:
    folder = classifier_run(tmp_path / "run", last=classifier_entry(8.25))
    evaluation(folder)
    page = read_page(write_report(folder))
    assert page.row("nearest neighbours' error")[1] == "19.75 %"
    assert page.row("accuracy, rotation-20")[1:] == ["46.50 %", "bilinear"]
    figure = page.figures["Reliability"]
    heights = [(float(at["y"]), float(at["height"])) for tag, at in figure.shapes if tag == "rect"]
    assert [figure.value("y", y) for y, _ in heights] == pytest.approx([0.25, 0.5, 0.95], abs=0.01)
    assert figure.polyline("c0") == [pytest.approx(at, abs=0.01) for at in ((0.4, 0.25), (0.7, 0.5), (0.9, 0.95))]
    assert "accuracy (share of right answers)" in figure.words
    assert "Expected calibration error 12.50 %." in figure.words
    confident = page.figures["How confident it is"]
    tops = [confident.value("y", float(at["y"])) for tag, at in confident.shapes if tag == "rect"]
    assert tops == pytest.approx([0, 10, 40, 50], abs=0.5)
    assert "46.50 %" in page.figures["Accuracy under deformations"].words
    assert "unbounded-pgd, no bound" in page.figures["Accuracy under attacks"].words
    spectrum = page.figures["Singular values at 1"]
    (over_classes,) = [at for tag, at in spectrum.shapes if tag == "polyline" and at["class"] == "c0"]
    assert len(over_classes["points"].split()) == 3  # the fourth is a rounding error of zero


def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    folder = classifier_run(tmp_path / "run", last=classifier_entry(8.25))
    page = read_page(write_report(folder))
    assert f"This classifier has not been evaluated further: mmgan evaluate {folder.path}" in page.words
    values = evaluation(folder)
    for name in ("deformation_accuracy_percent", "adversarial", "spectra", "knn"):
        del values[name]
    folder.evaluation_file.write_text(json.dumps(values))
    page = read_page(write_report(folder))
    for title, what in (
        ("Accuracy under deformations", "Deformations"),
        ("Accuracy under attacks", "Attacks"),
        ("Singular values", "Singular values"),
    ):
        assert f"{what} were not measured (--measures)." in page.figures[title].words


def test_its_text_is_escaped_and_its_changes_are_said(tmp_path: Path) -> None:
    folder = classifier_run(tmp_path / "run", last=classifier_entry(8.25))
    evil = '</svg><script>alert("x")</script>'
    evaluation(folder, changed=[evil], deformation_accuracy_percent={evil: 3.0})
    page = read_page(write_report(folder))
    assert "script" not in page.tags
    assert f"Note: {evil}" in page.words
    assert evil in page.figures["Accuracy under deformations"].words


@pytest.mark.parametrize(
    "content",
    [
        *("{", "[]", "null", '{"examples": 3}'),
        *('{"nll": NaN}', "[" * 100_000),
    ],
)
def test_a_damaged_file_is_told(tmp_path: Path, content: str) -> None:
    folder = classifier_run(tmp_path / "run", last=classifier_entry(8.25))
    folder.evaluation_file.write_text(content)
    with pytest.raises(UserError, match=r"evaluation\.json is damaged \("):
        write_report(folder)


def test_bins_that_do_not_agree_are_told(tmp_path: Path) -> None:
    folder = classifier_run(tmp_path / "run", last=classifier_entry(8.25))
    values = evaluation(folder)
    evaluation(folder, reliability=values["reliability"] | {"count": [1]})
    with pytest.raises(UserError, match="'reliability' does not have one value a bin"):
        write_report(folder)
