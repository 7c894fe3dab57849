"""Scores as plain text, and which of them stand side by side."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmgan.commands.scores import main
from mmgan.report.score_text import score_text
from tests.support.report_runs import gan_run, manifest


def entry(fid: float, **changes: Any) -> dict[str, Any]:
    extractor = {"name": "timm:net", "digest": "0123456789abcdef" * 4, "dims": 8, "layer": "l", "preprocessing": "8 px"}
    scores = {"frechet_distance": fid, "kernel_distance_mean": -1e-9, "kernel_distance_std": 0.1, "recall": 0.25}
    own = {"scores": scores, "intervals": {"frechet_distance": [fid - 1, fid + 1]}, "extractor": extractor}
    return manifest(fid, **own) | changes


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_scoring_is_a_table_with_what_it_depends_on() -> None:
    text = lines(score_text(entry(-1e-9, notes=["few images"], changed=["lr was 1, is 2"])))
    assert "FD (timm:net) 0.000 [-1.000, 1.000]" in text  # not -0.000
    assert "KD 0.00000 ± 0.10000" in text
    assert "recall 0.250" in text
    assert "samples 2,000, step 400" in text
    assert "real digits (train, 1,797 images)" in text
    assert "images 8 px" in text
    assert "protocol custom, 10 splits of the class score" in text
    assert text[-2:] == ["note: few images", "note: lr was 1, is 2"]
    assert score_text(entry(1.0, reason="NaN")) == "no scores: NaN"


def test_classes_have_a_line_each() -> None:
    of = {"samples": 50, "real_images": 60, "scores": {"frechet_distance": 2.0}, "intervals": {}}
    other = of | {"scores": {"frechet_distance": 4.0}}
    text = lines(score_text(entry(1.0, by_class={"cat": of, "dog": other}, mean_by_class={"frechet_distance": 3.0})))
    start = text.index("class samples real FD (timm:net)")
    assert text[start + 1 : start + 4] == ["cat 50 60 2.000", "dog 50 60 4.000", "mean of classes 3.000"]


def test_like_scores_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text(json.dumps(entry(12.0)))
    run = gan_run(tmp_path / "run", done=1)
    scored = entry(9.0, seed=1, step=100)
    run.write_scores({"last": scored, "best": scored, "history": [scored]})
    assert main(["compare", f"{tmp_path}/a.json", str(run.path)]) == 0
    text = lines(capsys.readouterr().out)
    assert text[0] == f"score {tmp_path}/a.json {run.path} difference"
    assert text[1] == "FD (timm:net) 12.000 [11.000, 13.000] 9.000 [8.000, 10.000] -3.000"


SPLIT = {"name": "digits", "split": "test", "images": 1797}
UNLIKE = {
    "number of samples (2000 and 5000)": {"samples": 5000},
    "real split (digits (train) and digits (test))": {"real": SPLIT},
    "protocol (custom and test-10k)": {"protocol": {"name": "test-10k"}},
    "extractor (timm:net and inception)": {"extractor": {"name": "inception", "digest": "0", "dims": 9}},
}


@pytest.mark.parametrize("what", UNLIKE)
def test_unlike_scores_are_refused_by_name(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, of in {"a": entry(12.0), "b": entry(9.0, **UNLIKE[what])}.items():
        (tmp_path / name).write_text(json.dumps(of))
    assert main(["compare", f"{tmp_path}/a", f"{tmp_path}/b"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: these scores do not compare: they differ in ")
    assert what in said.err
    assert len(said.err.splitlines()) == 1


def test_what_holds_no_scores_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("{}", "[]", "no", '{"scores": 3, "extractor": {}}', json.dumps(entry(1.0) | {"samples": "many"})):
        (tmp_path / "a.json").write_text(text)
        assert main(["compare", f"{tmp_path}/a.json", f"{tmp_path}/b.json"]) == 2
        assert capsys.readouterr().err.startswith("error: ")
    assert main(["compare", f"{tmp_path}/a.json"]) == 2
