"""The picture of a diagnosis, its numbers, and its part of the page."""

import io
from pathlib import Path

import pytest
from PIL import Image

from mmgan.errors import UserError
from mmgan.report import write_report
from mmgan.report.diagnosis import diagnosis_line, diagnosis_picture, main_numbers
from mmgan.runs.folder import RunFolder
from tests.support.report_runs import diagnosis, gan_run


@pytest.mark.parametrize("held_out", [True, False])
def test_the_picture_is_a_png(held_out: bool) -> None:
    with Image.open(io.BytesIO(diagnosis_picture(diagnosis(10, held_out=held_out)))) as image:
        assert image.format == "PNG"
        assert image.size[0] > 800


def test_the_numbers_and_the_line() -> None:
    numbers = main_numbers(diagnosis(10))
    assert numbers["overfitting"] == 0.25
    assert numbers["relative_deviation:1"] == 0.1
    assert numbers["calibration_error:1"] == 0.07
    assert [numbers[f"gradient_norm:{where}"] for where in ("fake", "between", "train")] == [0.5, 0.6, 0.7]
    assert "r 0.250" in diagnosis_line(diagnosis(10))
    assert "overfitting" not in main_numbers(diagnosis(10, held_out=False))
    assert "no r (no --holdout)" in diagnosis_line(diagnosis(10, held_out=False))


@pytest.mark.usefixtures("blank")
def test_the_page_has_the_last_one_and_its_history(tmp_path: Path) -> None:
    folder = gan_run(tmp_path / "run")
    before = write_report(folder).read_text()
    assert "Discriminator</h2>" not in before
    for step in (20, 10):
        folder.note_diagnosis(diagnosis(step), b"")
    assert [entry["step"] for entry in folder.read_diagnoses()] == [10, 20]
    page = write_report(folder).read_text()
    assert "Discriminator</h2>" in page
    assert "100 held-out images of digits (held-out)" in page
    assert page.count("<img") == before.count("<img") + 2
    folder.cut_diagnoses(10)
    assert [entry["step"] for entry in folder.read_diagnoses()] == [10]


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.diagnosis_file.write_text('{"history": [{"steps": 3}]}')
    with pytest.raises(UserError, match="holds no diagnoses"):
        folder.read_diagnoses()
