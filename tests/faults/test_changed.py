"""Another configuration, number of processes, data or version: refused with all differences, or said."""

import json
import shutil
from pathlib import Path

import pytest

from mmgan.runs.facts import list_changes, run_facts
from mmgan.runs.folder import RunFolder
from tests.support.compare import assert_same_run, contents
from tests.support.forks import Job, run_all, run_one
from tests.support.small_runs import CLASSIFIER, GAN, UNSCORED

pytestmark = pytest.mark.slow(8)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory, judge_cache: Path) -> Path:
    """A run that was killed before its score of step 6."""
    out = tmp_path_factory.mktemp("half") / "run"
    done = run_one(Job("gan", [*GAN, "--score-every", "6", "--out", str(out)], stop_at=4))
    assert done.code == -9, done.err
    return out


def test_every_difference_is_listed_and_nothing_touched(half: Path) -> None:
    def resume(*flags: str, processes: int = 1, version: str | None = None) -> Job:
        argv = [*GAN, "--score-every", "6", "--out", str(half), "--resume", *flags]
        return Job("gan", argv, processes=processes, version=version)

    cases = {
        "lr was 0.0004, is 0.001": resume("--lr", "0.001", "--loss", "hinge"),
        "loss was jsgan, is hinge": resume("--lr", "0.001", "--loss", "hinge"),
        "seed was 0, is 1": resume("--seed", "1"),
        "mix was 1,2,pixel, is 1": resume("--mix", "1"),
        "steps was 6, is 5": resume("--steps", "5"),
        "score_samples was 40, is 60": resume("--score-samples", "60"),
        "channels_last was True, is False": resume("--no-channels-last"),
        "the number of processes was 1, is 2": resume(processes=2),
        "mmgan's version was": resume(version="99.0"),
        "is 99.0": resume(version="99.0"),
    }
    before = contents(half)
    for expected, refused in zip(cases, run_all(list(cases.values())), strict=True):
        assert refused.code == 2, refused.err
        assert expected in refused.error
        assert "--allow-changed" in refused.error
    assert contents(half) == before


def test_allow_changed_goes_on_and_says_so(half: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(half, out)
    flags = [*GAN, "--score-every", "6", "--out", str(out), "--resume"]
    more = ["--lr", "0.001", "--steps", "8"]
    changed = run_one(Job("gan", [*flags, *more, "--allow-changed"], version="99.0"))
    assert changed.code == 0, changed.err
    assert "--allow-changed: going on although lr was 0.0004, is 0.001" in changed.out
    folder = RunFolder(out)
    scores = folder.read_scores()
    for entry in (scores["last"], *scores["history"]):
        assert "from step 4 on: lr was 0.0004, is 0.001" in entry["changed"]
        rate = "the learning rate at step 4 is 0.0005, not 0.000333, and falls to 0 anew"
        assert f"from step 4 on: steps was 6, is 8: {rate}" in entry["changed"]
        assert any(line.startswith("from step 4 on: mmgan's version was ") for line in entry["changed"])
    state = json.loads((folder.checkpoints / "step-00000008/state.json").read_text())
    assert state["changed"] == scores["last"]["changed"]
    assert state["settings"]["lr"] == 0.001

    # From now on these are the run's settings, and what happened is not forgotten.
    assert folder.read_config()["lr"] == 0.001
    assert folder.read_config()["allow_changed"] is False
    shutil.rmtree(folder.checkpoints / "step-00000008")
    own, other = (Job("gan", ["--out", str(out), "--resume", *more], version="99.0") for more in ([], ["--lr", "0.1"]))
    refused, resumed = run_all([other, own])
    assert refused.code == 2
    assert resumed.code == 0, resumed.err
    assert "going on although" not in resumed.out
    assert folder.read_scores()["last"]["changed"] == scores["last"]["changed"]


def test_more_steps_are_said_and_need_no_flag(half: Path, tmp_path: Path) -> None:
    """With a constant rate the run is bitwise the one that was begun with all of them."""
    flags = [*UNSCORED, "--sample-every", "0", "--lr-decay", "none"]
    whole, longer = tmp_path / "whole/run", tmp_path / "longer/run"
    falling = tmp_path / "falling/run"
    shutil.copytree(half, falling)
    (ended,) = run_all([Job("gan", [*flags, "--steps", "4", "--out", str(longer)])])
    assert ended.code == 0, ended.err
    said = run_all(
        [
            Job("gan", [*flags, "--out", str(whole)]),
            Job("gan", ["--out", str(longer), "--resume", "--steps", "6"]),
            Job("gan", ["--out", str(falling), "--resume", "--steps", "8"]),
            Job("gan", ["--out", str(half), "--resume", "--steps", "3", "--allow-changed"]),
        ]
    )
    assert [done.code for done in said] == [0, 0, 0, 2]
    assert "extended: steps was 4, is 6\n" in said[1].out
    assert_same_run(whole, longer, scored=False)
    assert RunFolder(longer).read_config()["steps"] == 6
    assert "extended: steps was 6, is 8: the learning rate at step 4 is 0.0002, not 0.000133, and falls" in said[2].out
    assert [row["step"] for row in RunFolder(falling).read_metrics()] == list(range(1, 9))
    (entry,) = RunFolder(falling).read_scores()["last"]["changed"]
    assert entry.startswith("from step 4 on: steps was 6, is 8")
    assert "the run has done 4 steps, more than the 3" in said[3].error


def test_without_changes_none_are_named(half: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(half, out)
    done = run_one(Job("gan", [*GAN, "--score-every", "6", "--out", str(out), "--resume", "--allow-changed"]))
    assert done.code == 0, done.err
    assert RunFolder(out).read_scores()["last"]["changed"] == []


def test_watching_otherwise_is_no_change(tmp_path: Path) -> None:
    out = tmp_path / "run"
    flags = [*UNSCORED, "--out", str(out)]
    assert run_one(Job("gan", flags, stop_at=3)).code == -9
    more = ["--sample-every", "1", "--log-every", "1", "--checkpoint-every", "5", "--keep-checkpoints", "7"]
    assert run_one(Job("gan", [*flags, "--resume", *more])).code == 0


def test_the_classifier_too(tmp_path: Path) -> None:
    out = tmp_path / "run"
    flags = [*CLASSIFIER, "--out", str(out)]
    assert run_one(Job("classifier", flags, stop_at=8)).code == -9
    resume = [*flags, "--resume", "--alpha", "1", "--validation", "299"]
    refused, changed = run_all([Job("classifier", resume), Job("classifier", [*resume, "--allow-changed"])])
    assert refused.code == 2
    assert "alpha was 2.0, is 1.0" in refused.error
    assert "validation was 300, is 299" in refused.error
    assert changed.code == 0, changed.err
    scores = RunFolder(out).read_scores()
    assert scores["last"]["changed"] == [
        "from step 8 on: alpha was 2.0, is 1.0",
        "from step 8 on: validation was 300, is 299",
    ]


def test_metrics_that_were_lost_are_a_change(half: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(half, out)
    (out / "metrics.jsonl").unlink()
    done = run_one(Job("gan", [*UNSCORED, "--out", str(out), "--resume", "--allow-changed"]))
    assert done.code == 0, done.err
    assert "going on although" in done.out
    assert [row["step"] for row in RunFolder(out).read_metrics()] == [5, 6]

    # The rows that there are belong to the checkpoints from now on: a plain resume goes on, also where rows follow.
    with (out / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps({"step": step}) + "\n" for step in (7, 8))
    resumed = run_one(Job("gan", [*UNSCORED, "--out", str(out), "--resume"]))
    assert resumed.code == 0, resumed.err
    assert [row["step"] for row in RunFolder(out).read_metrics()] == [5, 6]


def test_list_changes_sees_what_came_and_what_went() -> None:
    now = run_facts({"seed": 0}, data_digest="ab", processes=1)
    assert list_changes(now, now) == []
    before = now | {"settings": {"seed": 1, "gone": 2, "data_root": "elsewhere"}, "data_digest": "cd"}
    assert list_changes(before, now) == ["seed was 1, is 0", "the data's digest was cd, is ab", "gone was 2, is None"]
    assert len(list_changes({}, now)) == 5
