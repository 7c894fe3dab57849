"""Several runs in one table, and means only of what may be averaged."""

from pathlib import Path

import numpy as np
import pytest

from mmgan.commands.report import main
from mmgan.report import compare
from mmgan.runs.folder import RunFolder
from tests.support.report_runs import classifier_entry, classifier_run, gan_run, manifest


def seeds(path: Path, fids: list[float], **config: object) -> list[RunFolder]:
    return [
        gan_run(path / f"seed{seed}", seed=seed, done=1, history=[manifest(fid, seed=seed)], **config)  # type: ignore[arg-type]
        for seed, fid in enumerate(fids)
    ]


def test_mean_and_sample_deviation_over_seeds(tmp_path: Path) -> None:
    fids = [12.3, 14.1, 11.7]
    text = compare(seeds(tmp_path, fids))
    mean, sd = np.mean(fids), np.std(fids, ddof=1)
    assert f"FD (classifier:digits) {mean:.3f} ± {sd:.3f}, KD {mean / 1000:.5f} ± {sd / 1000:.5f}" in text
    assert "digits, layers 1,2,pixel, alpha 0.5: " in text
    assert "n = 3, seeds 0, 1, 2" in text


def test_one_line_a_run(tmp_path: Path) -> None:
    runs = [*seeds(tmp_path, [12.3]), gan_run(tmp_path / "baseline", mix="none", seed=5, done=3)]
    header, scored, baseline, *_ = [line.split() for line in compare(runs).splitlines()]
    scores = ["class", "score", "FD", "(classifier:digits)", "KD"]
    assert header == ["run", "data", "layers", "alpha", "seed", "steps", *scores, "extractor"]
    own = ["digits", "1,2,pixel", "0.5", "0", "1", "4.484", "12.300", "0.01230", "classifier:digits", "[1]"]
    assert scored == [str(tmp_path / "seed0"), *own]
    assert baseline == [str(tmp_path / "baseline"), *["digits", "none", "–", "5", "3", "–", "–", "–", "not", "scored"]]
    assert "[1] classifier:digits, weights 0123456789ab: 2,000 samples at step 400 against digits" in compare(runs)


OTHER = {
    "extractor weights": {"extractor": {"name": "classifier:digits", "digest": "f" * 64, "dims": 64}},
    "extractor": {"extractor": {"name": "inception", "digest": "0123456789abcdef" * 4, "dims": 2048}},
    "real split": {"real": {"name": "digits", "split": "test", "images": 1797}},
    "number of real images": {"real": {"name": "digits", "split": "train", "images": 100}},
    "number of samples": {"samples": 5000},
    "scoring settings": {"settings": {"splits": 1, "kid_subsets": 100, "kid_subset_size": 1000}},
    "step": {"step": 200},
    "changes under way": {"changed": ["from step 5 on: lr was 1, is 2"]},
}


@pytest.mark.parametrize("what", OTHER)
def test_scores_of_different_judges_are_never_averaged(tmp_path: Path, what: str) -> None:
    runs = seeds(tmp_path, [10.0])
    runs.append(gan_run(tmp_path / "other", seed=1, done=1, history=[manifest(20.0, **OTHER[what])]))  # type: ignore[arg-type]
    text = compare(runs)
    assert f"no mean over {runs[0].path}, {runs[1].path}: they were scored with different values of {what} (" in text
    assert "15.000" not in text
    assert "n = " not in text


def test_why_there_is_no_mean(tmp_path: Path) -> None:
    runs = seeds(tmp_path, [10.0, 20.0])
    failed = gan_run(tmp_path / "failed", seed=2, done=1, history=[manifest(None)])
    assert f"{failed.path} has no scores (the generator yields values that are not finite)" in compare([*runs, failed])
    unscored = gan_run(tmp_path / "unscored", seed=2, done=1)
    assert f"{unscored.path} was not scored" in compare([*runs, unscored])
    assert "they do not have 3 different seeds (0, 0, 1)" in compare([runs[0], *runs])


def test_other_settings_make_another_group(tmp_path: Path) -> None:
    runs = seeds(tmp_path / "a", [10.0]) + seeds(tmp_path / "b", [12.0], lr=1e-3)
    assert "no two runs differ in the seed alone" in compare(runs)
    runs += seeds(tmp_path / "c", [11.0, 13.0], data_root="elsewhere", checkpoint_every=7)[1:]
    assert "FD (classifier:digits) 11.500 ± 2.121" in compare(runs)  # a with c, whose other settings decide nothing


def test_classifiers_have_a_table_of_their_own(tmp_path: Path) -> None:
    errors = [8.0, 9.0, 8.5]
    runs = [
        classifier_run(tmp_path / f"c{seed}", last=classifier_entry(error, seed=seed), seed=seed)
        for seed, error in enumerate(errors)
    ]
    text = compare([*runs, *seeds(tmp_path, [10.0])])
    assert f"test error, % 8.50 ± {np.std(errors, ddof=1):.2f}, test NLL, nats 0.3400 ± 0.0200" in text
    assert "[2] digits (test, 360 images) after epoch 4" in text
    other = classifier_entry(9.5, data={"name": "digits", "split": "test", "classes": 10, "digest": "0"})
    runs.append(classifier_run(tmp_path / "c3", last=other, seed=3))
    assert "different values of digest of the test images" in compare(runs)


def test_the_command_rewrites_reports_and_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = seeds(tmp_path, [10.0, 20.0])
    assert main([str(runs[0].path)]) == 0
    assert capsys.readouterr().out == f"{runs[0].report_file}\n"
    assert main([str(run.path) for run in runs]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[:2] == [str(run.report_file) for run in runs]
    assert "FD (classifier:digits) 15.000 ± 7.071" in out


def test_the_command_writes_nothing_where_one_folder_is_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = seeds(tmp_path, [10.0])
    assert main([str(run.path), str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path} is not a run folder: it holds no config.yaml\n"
    assert not run.report_file.exists()
    for line in ([], ["--nonsense", "x"]):
        assert main(line) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
