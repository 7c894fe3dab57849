"""Scores belong to their weights: what is called best, what judged it, and what `mmgan score` is given."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from accelerate.state import AcceleratorState, GradientState
from PIL import Image
from safetensors.torch import load_file

import mmgan.commands.sample
import mmgan.commands.score
import mmgan.gan.scores
import mmgan.supervised.run
import mmgan.train_classifier
import mmgan.train_gan
from mmgan.digests import tensors_digest
from mmgan.gan.run import Judge
from mmgan.gan.scores import GanScorer
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import find_fault, read_facts
from mmgan.supervised.held_out import HeldOutResult
from tests.support.compare import flip_bit
from tests.support.small_runs import CLASSIFIER, GAN
from tests.support.two_ranks import untrained_judge

pytestmark = pytest.mark.slow(8)

FID = "frechet_inception_distance"
FLAGS = [*GAN, "--steps", "4", "--sample-every", "0", "--score-every", "1", "--keep-checkpoints", "9"]


class Killed(Exception):
    """Stands for kill -9: nothing of the program runs after it."""


def run(main: Callable[[list[str]], int], *argv: str) -> int:
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    return main([*argv])


@pytest.fixture(autouse=True)
def _judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = untrained_judge()
    monkeypatch.setenv("MMGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mmgan.gan.scores, "make_extractor", lambda *_: judge)


def distances(monkeypatch: pytest.MonkeyPatch, table: dict[int, float], kill_after: int | None = None) -> None:
    """The FID of each step, whatever the samples are."""
    entry, score = GanScorer.entry, Judge.score

    def known(scorer: GanScorer, generator: Any, step: int) -> dict[str, Any]:
        found = entry(scorer, generator, step)
        found["scores"][FID] = table[step]
        return found

    def scored(judge: Judge, step: int) -> None:
        score(judge, step)
        if step == kill_after:
            raise Killed

    monkeypatch.setattr(GanScorer, "entry", known)
    monkeypatch.setattr(Judge, "score", scored)


def kept_weights(best: Path) -> str:
    """The digest of the generator's average in a checkpoint, by hand."""
    file = load_file(best / "generator-average.safetensors")
    return tensors_digest({k.removeprefix("module."): v for k, v in file.items() if k.startswith("module.")})


def assert_best_is(out: Path, step: int) -> None:
    best = RunFolder(out).read_scores()["best"]
    assert best["step"] == step
    checkpoint = out / "checkpoints/best"
    assert find_fault(checkpoint) is None
    assert read_facts(checkpoint)["step"] == step
    assert kept_weights(checkpoint) == best["weights"] == read_facts(checkpoint)["scored"]


@pytest.mark.parametrize(
    ("before", "more", "after", "best"),
    [
        # Step 3 was the best when the run was killed; the new step 3 is not, and step 2 was resumed from.
        ({1: 30.0, 2: 20.0, 3: 10.0}, ["--lr", "0.001"], {3: 25.0, 4: 26.0}, 2),
        # The best step's weights were replaced by those of step 3, and are not those that the run resumed from.
        ({1: 20.0, 2: 30.0, 3: 10.0}, ["--lr", "0.001"], {3: 25.0, 4: 24.0}, 4),
        # Judged by another number of samples: no distance of before is compared.
        ({1: 30.0, 2: 20.0, 3: 25.0}, ["--score-samples", "60"], {3: 40.0, 4: 50.0}, 3),
        ({1: 30.0, 2: 20.0, 3: 25.0}, ["--lr", "0.001"], {3: 40.0, 4: 50.0}, 2),
    ],
)
def test_best_after_a_resume_from_an_earlier_step(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: dict[int, float],
    more: list[str],
    after: dict[int, float],
    best: int,
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        distances(patch, before, kill_after=3)
        with pytest.raises(Killed):
            run(mmgan.train_gan.main, *FLAGS, "--out", str(out))
    assert {path.name for path in (out / "checkpoints").glob("step-*")} == {"step-00000002"}
    with monkeypatch.context() as patch:
        distances(patch, after)
        assert run(mmgan.train_gan.main, *FLAGS, "--out", str(out), "--resume", "--allow-changed", *more) == 0
    assert [entry["step"] for entry in RunFolder(out).read_scores()["history"]] == [1, 2, 3, 4]
    assert_best_is(out, best)


def test_a_damaged_best_is_chosen_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        distances(patch, {1: 10.0, 2: 20.0, 3: 30.0}, kill_after=3)
        with pytest.raises(Killed):
            run(mmgan.train_gan.main, *FLAGS, "--out", str(out))
    flip_bit(out / "checkpoints/best/generator.safetensors")
    with monkeypatch.context() as patch:
        distances(patch, {3: 30.0, 4: 25.0})
        assert run(mmgan.train_gan.main, *FLAGS, "--out", str(out), "--resume") == 0
    assert_best_is(out, 4)


@pytest.mark.parametrize(("first", "second", "expected"), [((9, 7), (8,), 12), ((7, 5), (8,), 6), ((9, 7), (9.5,), 6)])
def test_the_best_epoch_after_a_resume_from_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: tuple[float, ...], second: tuple[float, ...], expected: int
) -> None:
    """Killed after the second epoch's weights were kept, and before the checkpoint; resumed with another alpha."""
    out, held_out = tmp_path / "run", mmgan.supervised.run.held_out_result

    def errors(*values: float) -> Callable[..., HeldOutResult]:
        left = list(values)
        return lambda *args: HeldOutResult(left.pop(0), 1.0, 300) if left else held_out(*args)

    def kill(session: Any, name: str, **_: Any) -> None:
        if name == "step-00000012":
            raise Killed
        save(session, name, **_)

    save = mmgan.supervised.run.Session.save
    with monkeypatch.context() as patch:
        patch.setattr(mmgan.supervised.run, "held_out_result", errors(*first))
        patch.setattr(mmgan.supervised.run.Session, "save", kill)
        with pytest.raises(Killed):
            run(mmgan.train_classifier.main, *CLASSIFIER, "--out", str(out))
    assert read_facts(out / "checkpoints/best")["step"] == 12
    with monkeypatch.context() as patch:
        patch.setattr(mmgan.supervised.run, "held_out_result", errors(*second))
        flags = ["--resume", "--allow-changed", "--alpha", "1"]
        assert run(mmgan.train_classifier.main, *CLASSIFIER, "--out", str(out), *flags) == 0
    assert read_facts(out / "checkpoints/best")["step"] == expected
    assert RunFolder(out).read_scores()["best"]["step"] == expected


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(32):
        Image.fromarray(rng.integers(0, 255, (16, 16), np.uint8)).save(folder / f"{i:02d}.png")
    return folder


def test_what_is_scored_is_what_was_trained(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, other = tmp_path / "run", tmp_path / "other"
    monkeypatch.setattr(mmgan.gan.scores, "find_weights", lambda *_: None)
    monkeypatch.setattr("mmgan.gan.build.find_weights", lambda *_: None)
    flags = [*FLAGS, "--steps", "2", "--score-every", "2", "--extractor", "classifier"]
    flags += ["--data", f"folder:{images}"]
    assert run(mmgan.train_gan.main, *flags, "--out", str(out)) == 0
    assert run(mmgan.train_gan.main, *flags, "--score-every", "0", "--seed", "1", "--out", str(other)) == 0
    found = tmp_path / "scores.json"

    def score(*more: str) -> tuple[int, str]:
        code = run(mmgan.commands.score.main, str(out), "--json", str(found), *more)
        return code, capsys.readouterr().err

    assert score()[0] == 0
    entry = json.loads(found.read_text())
    assert entry["scores"] == RunFolder(out).read_scores()["last"]["scores"]
    assert entry["weights"] == kept_weights(out / "checkpoints/step-00000002")
    assert entry["real"]["digest"] == read_facts(out / "checkpoints/step-00000002")["data_digest"]
    assert entry["changed"] == []

    config = (out / "config.yaml").read_text()
    (out / "config.yaml").write_text(yaml.safe_dump(yaml.safe_load(config) | {"ema": 0.0}))
    code, said = score()
    assert (code, "ema was 0.9, is 0.0" in said, "--allow-changed" in said) == (2, True, True)
    assert run(mmgan.commands.sample.main, str(out)) == 2
    assert score("--allow-changed")[0] == 0
    assert json.loads(found.read_text())["changed"] == ["scored although ema was 0.9, is 0.0"]
    (out / "config.yaml").write_text(config)

    shutil.rmtree(out / "checkpoints/best")
    shutil.copytree(other / "checkpoints/step-00000002", out / "checkpoints/best")
    code, said = score("--checkpoint", "best")
    assert (code, "seed was 1, is 0" in said) == (2, True)

    Image.fromarray(np.zeros((16, 16), np.uint8)).save(images / "07.png")
    code, said = score()
    assert (code, "the data's digest was" in said) == (2, True)
    assert score("--allow-changed")[0] == 0
    (line,) = json.loads(found.read_text())["changed"]
    assert line.startswith("scored although the data's digest was ")


def test_another_extractor_is_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        distances(patch, {1: 30.0, 2: 20.0}, kill_after=2)
        with pytest.raises(Killed):
            run(mmgan.train_gan.main, *FLAGS, "--checkpoint-every", "1", "--out", str(out))
    judge = untrained_judge()
    judge.digest = "cd" * 32
    monkeypatch.setattr(mmgan.gan.scores, "make_extractor", lambda *_: judge)
    flags = [*FLAGS, "--out", str(out), "--resume"]
    assert run(mmgan.train_gan.main, *flags) == 2
    assert "the digest of the extractor's weights was" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        distances(patch, {3: 40.0, 4: 50.0})
        assert run(mmgan.train_gan.main, *flags, "--allow-changed") == 0
    assert "the best weights are chosen again from step 3 on: they were scored with different values of extractor" in (
        capsys.readouterr().out
    )
    assert_best_is(out, 3)
    assert "the digest of the extractor's weights was" in RunFolder(out).read_scores()["last"]["changed"][0]
