"""The page of a run: complete, self-contained, escaped, and never a score without its extractor."""

import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from mmgan.errors import UserError
from mmgan.report import write_report
from mmgan.runs.folder import RunFolder
from tests.support.pages import Page, read_page
from tests.support.report_runs import classifier_entry, classifier_run, gan_run, manifest


def page_of(folder: RunFolder) -> Page:
    path = write_report(folder)
    assert path == folder.report_file
    return read_page(path)


def scored(path: Path) -> RunFolder:
    history = [manifest(30.0, step=200), manifest(12.5, step=300), manifest(20.0, step=400)]
    return gan_run(path, history=history, grids=tuple(range(40, 401, 40)))


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    folder = scored(tmp_path / "run")
    page = page_of(folder)
    assert page.links
    assert all(link.startswith("data:image/") for link in page.links)
    assert not {"script", "link", "iframe", "object", "form"} & set(page.tags)
    assert page.policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    text = folder.report_file.read_text(encoding="utf-8")
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    assert "@import" not in text
    for image in page.images:
        Image.open(io.BytesIO(image)).load()
    assert len(page.images) == 1 + 6  # the newest grid, six earlier ones
    assert folder.report_file.stat().st_size < 1_000_000
    assert list(folder.path.glob("*.part")) == []


def test_scores_stand_beside_their_extractor(tmp_path: Path) -> None:
    page = page_of(scored(tmp_path / "run"))
    for name, step, fid in (("last", "400", "20.000"), ("best", "300", "12.500")):
        row = page.row(name)
        assert row[1] == step
        assert row[3] == fid
        assert row[5:] == ["2,000", "digits (train, 1,797 images)", "classifier:digits, weights 0123456789ab"]
    assert page.row("last")[2] == "3.333 ± 0.125"
    assert page.row("last")[4] == "0.02000 ± 0.00050"
    assert "not Inception scores" in page.text
    assert page.row("its weights")[1] == "0123456789abcdef" * 4


def test_one_row_where_the_last_score_is_the_best(tmp_path: Path) -> None:
    page = page_of(gan_run(tmp_path / "run", history=[manifest(20.0)]))
    assert page.row("last, also best")[3] == "20.000"
    assert "flattered" not in page.text


def test_title_and_settings(tmp_path: Path) -> None:
    page = page_of(gan_run(tmp_path / "run", seed=7, alpha=0.25))
    assert "digits, layers 1,2,pixel, alpha 0.25, seed 7" in page.words
    at = page.words.index("latent_dim")
    assert page.words[at + 1] == "32"
    assert "0.0004" in page.words
    baseline = page_of(gan_run(tmp_path / "baseline", mix="none"))
    assert "digits, no mixing (baseline), seed 0" in baseline.words
    assert "This run mixes nothing: it is a baseline (--mix none)." in baseline.words
    assert "Layers drawn" not in baseline.figures


def test_share_of_steps_by_layer(tmp_path: Path) -> None:
    folder = gan_run(tmp_path / "run", done=0)
    layers = [["1", "pixel"]] * 3 + [["1", "2"]] * 4 + [["none", "none"]] * 2
    folder.append_metrics({"step": i + 1, "images": 64, "layers": row, "loss_d": 1.0} for i, row in enumerate(layers))
    page = page_of(folder)
    drawn = page.figures["Layers drawn"]
    for name, text in {"layer 1": "7, 50.0 %", "layer 2": "4, 28.6 %", "pixel": "3, 21.4 %"}.items():
        at = drawn.words.index(text)
        assert drawn.words[at - 1] == name
    bars = [float(at["width"]) for tag, at in drawn.shapes if tag == "rect"]
    assert [width / sum(bars) for width in bars] == pytest.approx([7 / 14, 4 / 14, 3 / 14], abs=2e-3)
    assert "33.3 % is expected of each" in page.text
    assert "4 discriminator steps mixed nothing" in page.text


def test_everything_is_escaped(tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>&'
    folder = gan_run(
        tmp_path / "run&<b>",
        data=evil,
        history=[manifest(2.0, notes=[evil], extractor={"name": evil, "digest": evil, "dims": 1})],
        arch=evil,
    )
    page = page_of(folder)
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert evil in page.words
    assert f"Note: {evil}" in page.words


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    folder = gan_run(tmp_path / "my run", done=0)
    page = page_of(folder)
    assert "This run has not been scored." in page.words
    assert "No step has been noted yet." in page.words
    assert "No sample grid has been written yet." in page.words
    assert "This run has noted no times" in page.text
    assert "This run's discriminator was not diagnosed" in page.text
    for title in ("Training images", "Samples and their nearest training images", "From latent to latent"):
        assert "Made at the end of training, which this run has not reached." in page.figures[title].words
    assert "No rows have been mixed yet." in page.figures["Layers drawn"].words
    assert "No rows have been mixed yet." in page.figures["Mixing coefficients lam"].words
    assert page.images == []
    assert f"mmgan train-gan --resume --out '{folder.path}'" in page.text


def test_a_finished_run_is_not_offered_to_be_resumed(tmp_path: Path) -> None:
    page = page_of(gan_run(tmp_path / "run-seed3", seed=3))
    assert "--resume" not in page.text
    assert f"mmgan score {tmp_path}/run-seed3" in page.text
    assert f"--config {tmp_path}/run-seed3/config.yaml --seed 4 --out {tmp_path}/run-seed4" in page.text


def test_no_number_stands_for_a_generator_that_could_not_be_scored(tmp_path: Path) -> None:
    history = [manifest(40.0, step=100), manifest(30.0, step=200), manifest(None)]
    page = page_of(gan_run(tmp_path / "run", history=history))
    assert "Left out: 1 that could not be computed" in page.text  # not drawn as FID 0
    assert page.row("last")[2:5] == ["–", "–", "–"]
    assert page.row("best")[3] == "30.000"
    assert "No scores (last): the generator yields values that are not finite" in page.words


def test_scores_of_another_extractor_are_not_in_the_curve(tmp_path: Path) -> None:
    other = {"name": "classifier:digits", "digest": "f" * 64, "dims": 64}
    history = [manifest(9.0, step=100, extractor=other), manifest(30.0, step=200), manifest(20.0)]
    assert (
        "Left out: 1 that could not be computed or were computed otherwise"
        in page_of(gan_run(tmp_path / "run", history=history)).text
    )
    page = page_of(gan_run(tmp_path / "two", history=[history[0], history[2]]))
    assert "Fewer than two scores were computed in the same way" in page.figures["Scores by step"].text


def test_what_was_let_pass_and_skipped_is_said(tmp_path: Path) -> None:
    folder = gan_run(tmp_path / "run", history=[manifest(2.0, changed=["from step 5 on: lr was 1, is 2"])])
    folder.append_metrics([{"step": 401, "images": 1, "layers": ["1"], "skipped": 1, "non_finite": "loss_d is not"}])
    page = page_of(folder)
    assert "--allow-changed let pass: from step 5 on: lr was 1, is 2" in page.words
    assert "1 steps were skipped" in page.text


def test_large_grids_become_small(tmp_path: Path) -> None:
    folder = gan_run(tmp_path / "run", grids=(100, 400))
    noise = Image.effect_noise((1200, 1200), 90).convert("RGB")
    for step in (100, 400):
        noise.save(folder.samples / f"step-{step:08d}.png")
    assert (folder.samples / "step-00000400.png").stat().st_size > 1_000_000
    sizes = [Image.open(io.BytesIO(image)).size for image in page_of(folder).images]
    assert sizes[-2:] == [(1024, 1024), (320, 320)]
    assert folder.report_file.stat().st_size < 1_500_000


def test_a_classifier_run(tmp_path: Path) -> None:
    page = page_of(classifier_run(tmp_path / "run", last=classifier_entry(8.25)))
    assert page.row("last")[1:] == [
        "4",
        "8.25",
        "0.3300",
        "digits (test, 360 images)",
        "error 8.75 %, NLL 0.4125",
    ]
    assert page.row("best")[1:3] == ["3", "7.25"]
    assert "Best was chosen on the validation images." in page.text
    assert "epoch 4 of 4" in page.words
    assert page.images == []
    drawn = page.figures["Validation error"].polyline("c0")
    assert drawn == [pytest.approx((k, 40 / k), rel=0.02) for k in range(1, 5)]
    assert "40, 50.0 %" in page.figures["Layers drawn"].words
    assert f"mmgan evaluate {tmp_path}/run" in page.text
    assert "Samples" not in page.words
    begun = page_of(classifier_run(tmp_path / "begun"))
    assert f"mmgan train-classifier --resume --out {tmp_path}/begun" in begun.text


def test_the_same_folder_gives_the_same_page(tmp_path: Path) -> None:
    folder = scored(tmp_path / "run")
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first


def test_the_page_survives_a_write_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = scored(tmp_path / "run")
    before = write_report(folder).read_bytes()
    (folder.samples / "step-00000400.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"step-00000400\.png cannot be read as an image"):
        write_report(folder)
    assert folder.report_file.read_bytes() == before


def test_damage_and_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run folder"):
        write_report(RunFolder(tmp_path))
    folder = gan_run(tmp_path / "run")
    folder.scores_file.write_text(json.dumps({"last": {"value": 3}}))
    with pytest.raises(UserError, match=re.escape(f"{folder.scores_file} is damaged")):
        write_report(folder)
    assert not folder.report_file.exists()
