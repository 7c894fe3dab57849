"""The picture of a diagnosis, its numbers, and its part of the page."""

import io
from pathlib import Path

import pytest
from PIL import Image

from mmgan.errors import UserError
from mmgan.report import write_report
from mmgan.report.diagnosis import diagnosis_line, main_numbers
from mmgan.report.diagnosis_picture import diagnosis_picture
from mmgan.runs.folder import RunFolder
from tests.support.pages import read_page
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


def test_the_page_has_the_last_one_and_its_history(tmp_path: Path) -> None:
    folder = gan_run(tmp_path / "run")
    how = f"This run's discriminator was not diagnosed: mmgan diagnose {folder.path}, or --diagnose-every."
    assert how in read_page(write_report(folder)).words
    for step, r in ((20, 0.5), (10, 0.25)):
        folder.note_diagnosis(diagnosis(step, r), b"")
    assert [entry["step"] for entry in folder.read_diagnoses()] == [10, 20]
    page = read_page(write_report(folder))
    assert "100 held-out images of digits (held-out)" in page.text
    drawn = page.figures["Overfitting r of D"].polyline("c0")
    assert drawn == [pytest.approx(at, abs=0.1) for at in ((10, 0.25), (20, 0.5))]
    assert page.figures["Logits of D"].words.count("mean 1.000") == 3
    assert "r = 0.500." in page.figures["Logits of D"].text
    for title in ("Logits by step", "Deviation from the line", "D from fake to real", "Calibration of sigmoid(D)"):
        assert page.figures[title].shapes
    folder.cut_diagnoses(10)
    assert [entry["step"] for entry in folder.read_diagnoses()] == [10]
    page = read_page(write_report(folder))
    assert "There is one diagnosis, so nothing to follow over training." in page.figures["Logits by step"].words


def test_without_held_out_images_r_is_said_to_be_unknown(tmp_path: Path) -> None:
    folder = gan_run(tmp_path / "run")
    for step in (10, 20):
        folder.note_diagnosis(diagnosis(step, held_out=False), b"")
    page = read_page(write_report(folder))
    assert "No images were held out (--holdout), so overfitting is unknown." in page.words
    assert "Overfitting r of D" not in page.figures
    assert "held-out" not in page.figures["Logits of D"].text


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.diagnosis_file.write_text('{"history": [{"steps": 3}]}')
    with pytest.raises(UserError, match="holds no diagnoses"):
        folder.read_diagnoses()
