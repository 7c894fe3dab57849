"""Whole runs through the program: what they leave behind, how they go on, and that watching does not change them."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
import yaml
from PIL import Image

import mmgan.gan.run
from mmgan.commands import sample, score
from mmgan.runs.folder import RunFolder

pytestmark = pytest.mark.slow(20)


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return {
        f"{path.stem}/{name}": tensor
        for path in sorted(checkpoint.glob("*.safetensors"))
        for name, tensor in safetensors.torch.load_file(path).items()
    }


def assert_bitwise(one: Path, other: Path) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    assert len(a) > 20
    assert [name for name in a if not torch.equal(a[name], b[name])] == []
    for path in one.glob("*.pt"):
        first, second = (torch.load(folder / path.name, weights_only=True) for folder in (one, other))
        for key, state in first["state"].items():
            assert all(torch.equal(value, second["state"][key][name]) for name, value in state.items())


def test_a_run_leaves_behind_what_the_design_says(tmp_path: Path, train, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert train(out, "--mix", "1,2,pixel", "--steps", "7", "--sample-every", "5", "--checkpoint-every", "2") == 0
    folder = RunFolder(out)
    assert yaml.safe_load(folder.config_file.read_text())["mix"] == "1,2,pixel"
    rows = folder.read_metrics()
    assert [row["step"] for row in rows] == list(range(1, 8))
    assert rows[-1]["images"] == 7 * 2 * 8
    shown = {f"step-00000007-{kind}.png" for kind in ("real", "neighbours", "interpolation")}
    grids = {"step-00000005.png", "step-00000007.png"}
    assert {path.name for path in folder.samples.iterdir()} == grids | shown
    with Image.open(folder.samples / "step-00000007.png") as grid:
        assert grid.size[0] == grid.size[1] >= 640
    assert {path.name for path in folder.checkpoints.iterdir()} == {"step-00000006", "step-00000007", "best"}
    scores = json.loads(folder.scores_file.read_text())
    assert scores["last"]["step"] == 7
    assert scores["last"]["extractor"]["name"] == "classifier:digits"
    real = scores["last"]["real"]
    assert real == {"name": "digits", "split": "train", "images": 1437, "digest": real["digest"]}
    assert scores["last"]["scores"]["frechet_distance"] > 0
    assert folder.report_file.stat().st_size > 10_000
    said = capsys.readouterr().out
    for word in (
        "class score ",
        "FD (classifier:digits) ",
        "KD ",
        "layers 1,2,pixel",
        "alpha 0.5",
        "7 steps",
        "seed 0",
        str(out),
    ):
        assert word in said

    assert sample.main([str(out), "--count", "9", "--checkpoint", "best"]) == 0
    assert sample.main([str(out), "--count", "5", "--out", str(tmp_path / "png")]) == 0
    assert len(list((tmp_path / "png").glob("*.png"))) == 5
    assert score.main([str(out), "--json", str(tmp_path / "again.json")]) == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["scores"] == scores["last"]["scores"]


class Killed(Exception):
    pass


@pytest.mark.parametrize("stop", [4, 5])
def test_a_run_that_was_stopped_and_resumed_ends_bitwise_the_same(
    tmp_path: Path, train, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    flags = [
        "--mix",
        "1,2,pixel",
        "--steps",
        "6",
        "--checkpoint-every",
        "2",
        "--sample-every",
        "1",
        "--score-every",
        "0",
    ]
    assert train(tmp_path / "whole", *flags) == 0

    save = mmgan.gan.run.save_grid

    def die(images: torch.Tensor, path: Path, columns: int | None) -> None:
        if path.stem == f"step-{stop:08d}":
            raise Killed
        save(images, path, columns)

    with monkeypatch.context() as patch:
        patch.setattr(mmgan.gan.run, "save_grid", die)
        with pytest.raises(Killed):
            train(tmp_path / "stopped", *flags)
    assert train(tmp_path / "stopped", *flags, "--resume") == 0
    for name in ("step-00000004", "step-00000006"):
        assert_bitwise(tmp_path / "whole/checkpoints" / name, tmp_path / "stopped/checkpoints" / name)
    whole, stopped = (RunFolder(tmp_path / name).metrics_file.read_text() for name in ("whole", "stopped"))
    assert whole == stopped


def test_resume_needs_no_other_flags(tmp_path: Path, train) -> None:
    out = tmp_path / "run"
    assert train(out, "--steps", "2", "--score-every", "0") == 0
    from mmgan.train_gan import main

    assert main(["--resume", "--out", str(out)]) == 0
    assert len(RunFolder(out).read_metrics()) == 2


def test_sampling_and_scoring_do_not_change_training(tmp_path: Path, train) -> None:
    flags = ["--mix", "pixel,1", "--steps", "4"]
    assert train(tmp_path / "quiet", *flags, "--sample-every", "0", "--score-every", "0") == 0
    assert train(tmp_path / "busy", *flags, "--sample-every", "1", "--score-every", "2", "--checkpoint-every", "1") == 0
    assert_bitwise(tmp_path / "quiet/checkpoints/step-00000004", tmp_path / "busy/checkpoints/step-00000004")


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path, train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run", "--steps", "50", "--lr", "1e30", "--loss", "wasserstein", "--score-every", "0") == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: loss_")
    assert "at step" in error


def test_a_generator_that_is_not_finite_gets_no_score(tmp_path: Path, train, monkeypatch: pytest.MonkeyPatch) -> None:
    original = mmgan.gan.run.sampling_generator

    def broken(state, accelerator):  # type: ignore[no-untyped-def]
        generator = original(state, accelerator)
        next(generator.parameters()).fill_(float("nan"))
        return generator

    monkeypatch.setattr(mmgan.gan.run, "sampling_generator", broken)
    assert train(tmp_path / "run", "--steps", "1", "--sample-every", "0") == 0
    scores = RunFolder(tmp_path / "run").read_scores()
    assert set(scores["last"]["scores"].values()) == {None}
    assert "NaN" in scores["last"]["reason"]
    assert scores["best"] is None


@pytest.mark.parametrize(
    "flags",
    [
        ["--arch", "dcgan"],
        ["--loss", "hinge"],
        ["--clip-grad", "1"],
        ["--mixed-precision", "bf16"],
        ["--no-channels-last"],
        ["--tracker", "tensorboard"],
    ],
)
def test_settings_run(tmp_path: Path, train, flags: list[str]) -> None:
    assert train(tmp_path / "run", "--mix", "1,pixel", "--steps", "2", "--score-every", "0", *flags) == 0


def test_training_brings_the_fid_down_to_a_third(tmp_path: Path) -> None:
    """On digits, with the networks of the demo and a twelfth of its steps."""
    from mmgan.train_gan import main

    flags = ["--mix", "1,2,pixel", "--score-samples", "500", "--sample-every", "0", "--out"]
    assert main([*flags, str(tmp_path / "new"), "--steps", "1", "--lr", "1e-12"]) == 0
    assert main([*flags, str(tmp_path / "trained"), "--steps", "90", "--ema", "0.95"]) == 0
    new, trained = (RunFolder(tmp_path / name).read_scores()["last"]["scores"] for name in ("new", "trained"))
    assert trained["frechet_distance"] <= new["frechet_distance"] / 3
