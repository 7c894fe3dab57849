"""Logging, sampling, scoring and saving more often, or not at all, do not change the trained weights by one bit."""

import json
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from safetensors.torch import load_file

import mmgan.train_classifier
from mmgan.runs.folder import RunFolder
from tests.support.small_runs import CLASSIFIER
from tests.support.two_ranks import WATCHED, run_cases

pytestmark = pytest.mark.slow(11)


def assert_same_weights(one: Path, other: Path, step: int) -> None:
    a, b = (RunFolder(path).checkpoints / f"step-{step:08d}" for path in (one, other))
    names = sorted(path.name for path in a.glob("*.safetensors"))
    assert names
    for name in names:
        first, second = load_file(a / name), load_file(b / name)
        assert [key for key in first if not torch.equal(first[key], second[key])] == []
    for file in a.glob("*.pt"):
        first, second = (torch.load(folder / file.name, weights_only=True)["state"] for folder in (a, b))
        for key, state in first.items():
            assert all(torch.equal(value, second[key][name]) for name, value in state.items())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watched")
    for name, done in run_cases(folder, WATCHED).items():
        assert done.codes == [0, 0], done.err
        outcomes = [json.loads((folder / f"{name}-{rank}.json").read_text()) for rank in (0, 1)]
        assert outcomes == [{"code": 0, "errors": []}] * 2
    return folder


def test_a_gan_in_two_processes(runs: Path) -> None:
    assert len(RunFolder(runs / "busy").read_scores()["history"]) == 4
    assert [entry["step"] for entry in RunFolder(runs / "busy").read_diagnoses()] == [5, 8]
    assert not (runs / "quiet/scores.json").exists()
    assert_same_weights(runs / "quiet", runs / "busy", 8)


def test_a_classifier_in_two_processes(runs: Path) -> None:
    assert_same_weights(runs / "classifier-quiet", runs / "classifier-busy", 12)


@pytest.mark.parametrize("watched", [["--log-every", "1"], ["--log-every", "5", "--tracker", "tensorboard"]])
@pytest.mark.usefixtures("blank")
def test_a_classifier_alone(watched: list[str], tmp_path: Path) -> None:
    """The GAN alone: tests/gan/test_runs.py."""
    for name, flags in (("quiet", ["--log-every", "1000", "--checkpoint-every", "0"]), ("busy", watched)):
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
        assert mmgan.train_classifier.main([*CLASSIFIER, *flags, "--out", str(tmp_path / name)]) == 0
    assert_same_weights(tmp_path / "quiet", tmp_path / "busy", 12)
