"""Sweeps as their files describe them: arms, seeds and folders, and what is refused before anything is written."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from mmgan.commands.sweep import main
from mmgan.sweeps.definition import Sweep, list_runs, path_name
from mmgan.sweeps.read import read_sweep
from mmgan.sweeps.running import plan_sweep
from tests.support.report_runs import classifier_entry, manifest
from tests.support.sweep_files import TINY, write_sweep

ROOT = Path(__file__).parents[2]


def test_every_combination_of_the_grid_is_an_arm_with_every_seed(tmp_path: Path) -> None:
    file = write_sweep(
        tmp_path,
        seeds=[3, 0],
        baseline={"mix": "none"},
        arms={"much dropout": {"dropout": 0.5}},
        grid={"mix": ["pixel", [1, "pixel"]], "alpha": [0.5, 2]},
    )
    sweep = read_sweep(file)
    arms = {run.arm: run for run in list_runs(sweep)}
    wanted = {
        "baseline": ("none", 2.0, 0.0),
        "much dropout": ("none", 2.0, 0.5),
        "mix=pixel alpha=0.5": ("pixel", 0.5, 0.0),
        "mix=pixel alpha=2": ("pixel", 2.0, 0.0),
        "mix=1,pixel alpha=0.5": ("1,pixel", 0.5, 0.0),
        "mix=1,pixel alpha=2": ("1,pixel", 2.0, 0.0),
    }
    assert {arm: tuple(run.config[key] for key in ("mix", "alpha", "dropout")) for arm, run in arms.items()} == wanted
    runs = list_runs(sweep)
    assert [run.seed for run in runs] == [3] * 6 + [0] * 6  # whole sets of arms first
    assert all(run.config["widths"] == "16,12" and run.config["lr_decay"] == "cosine" for run in runs)  # the default's
    assert len({run.folder.path for run in runs}) == 12
    assert runs[5].folder.path == tmp_path / "runs/mix=1+pixel_alpha=2/seed3"
    assert not (tmp_path / "runs").exists()


def test_a_number_of_seeds_and_the_default_folder(tmp_path: Path) -> None:
    sweep = read_sweep(write_sweep(tmp_path, seeds=3, baseline={}, out=None))
    assert sweep.seeds == (0, 1, 2)
    assert sweep.folder == Path("runs/sweeps/sweep")


@pytest.mark.parametrize("name", ["1,2,pixel", "a/b c", "../x", "-rf", "ä", "."])
def test_arms_names_are_safe_as_folders(name: str, tmp_path: Path) -> None:
    made = tmp_path / path_name(name)
    made.mkdir()
    assert made.resolve().parent == tmp_path.resolve()
    assert not path_name(name).startswith(("-", "."))
    assert path_name("1,2,pixel") == "1+2+pixel"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "key": ({"sead": 2}, "unknown key 'sead': did you mean seeds?"),
    "trainer": ({"trainer": "gam"}, "trainer must be gan or classifier"),
    "setting": ({"baseline": {"drop_out": 0.1}}, "baseline: unknown setting 'drop_out': did you mean dropout?"),
    "setting of an arm": ({"arms": {"a": {"alfa": 1}}}, "arms: a: unknown setting 'alfa': did you mean alpha?"),
    "setting of the grid": ({"grid": {"mixx": ["pixel"]}}, "grid: unknown setting 'mixx': did you mean mix?"),
    "the other trainer's": ({"settings": {"n_dis": 2}}, "settings: unknown setting 'n_dis'"),
    "value": ({"arms": {"a": {"dropout": 1.5}}}, "arm 'a': --dropout 1.5 is out of range: it must be below 1"),
    "type": ({"arms": {"a": {"epochs": "many"}}}, "arm 'a': --epochs many is not valid: it must be a whole number"),
    "truth": ({"arms": {"a": {"nesterov": 2}}}, "arm 'a': nesterov 2 is not valid: it must be true or false"),
    "nested": ({"arms": {"a": {"mix": {"pixel": 1}}}}, "arm 'a': mix is not valid: it must be a value"),
    "own": ({"settings": {"seed": 3}}, "settings: the sweep itself gives each run its 'seed': leave it out"),
    "no arm": ({"baseline": None}, "the sweep has no arm"),
    "no seeds": ({"seeds": []}, "seeds must be a list of whole numbers"),
    "seeds twice": ({"seeds": [1, 1]}, "seeds [1, 1] are not valid"),
    "true seeds": ({"seeds": True}, "seeds must be a list of whole numbers"),
    "grid of one": ({"grid": {"mix": "pixel"}}, "grid: mix must be a list of values"),
    "same arm": ({"arms": {"a": {}}}, "the arms 'baseline' and 'a' have the same settings"),
    "same folder": ({"arms": {"a,b": {"alpha": 1}, "a+b": {"alpha": 3}}}, "would share the folder a+b"),
    "name twice": ({"arms": {"baseline": {"alpha": 1}}}, "two arms of the name 'baseline'"),
    "config": ({"config": "configs/none.yaml"}, "the config file configs/none.yaml does not exist"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_refused_in_one_line(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values, said = BAD[what]
    assert main([str(write_sweep(tmp_path, **{"baseline": {}} | values))]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.yaml"]


NO_SWEEPS = {
    "a: [": "is not a YAML file",
    "- 1": "it must hold 'name: value' lines",
    "{trainer: gan, seeds: 1, arms: {a: {alpha: 0.1}, a: {alpha: 0.2}}}": "'a' appears twice",
}


@pytest.mark.parametrize("text", NO_SWEEPS)
def test_what_is_no_sweep_at_all(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sweep.yaml").write_text(text)
    assert main([str(tmp_path / "sweep.yaml"), "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert str(tmp_path / "sweep.yaml") in error
    assert NO_SWEEPS[text] in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--jobs", "0"], "--jobs 0 is out of range"),
        (["--slurm", "partition=gpu"], "--slurm needs --cluster slurm"),
        (["--gpus", "0", "--cluster", "local"], "--gpus is for runs on this machine"),
        (["--cluster", "slurm", "--slurm", "partition"], "--slurm partition is not valid: write KEY=VALUE"),
        (["--cluster", "slurm", "--slurm", "partition=a"], "--cluster slurm: "),  # there is no srun here
    ],
)
def test_bad_flags(flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(write_sweep(tmp_path, baseline={})), *flags]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_without_submitit(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "submitit", None)
    assert main([str(write_sweep(tmp_path, baseline={})), "--cluster", "local"]) == 2
    assert "pip install 'mmgan[cluster]'" in capsys.readouterr().err


def test_folders_that_hold_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_sweep(tmp_path, baseline={}, arms={"a": {"alpha": 1.0}})
    [run, _] = list_runs(read_sweep(file))
    run.folder.path.mkdir(parents=True)
    run.folder.write_config({**run.config, "lr": 0.25, "widths": "9", "data_root": "elsewhere", "tracker": "wandb"})
    assert main([str(file)]) == 2
    error = capsys.readouterr().err
    assert f"{run.folder.path} holds a run with other settings" in error
    assert (
        "widths is 9 there and 16,12 here; lr is 0.25 there and 0.1 here)" in error
    )  # where and how it is watched: no
    assert not (tmp_path / "runs/a").exists()  # nothing was begun
    run.folder.config_file.unlink()
    (run.folder.path / "thesis.tex").write_text("")
    assert main([str(file)]) == 2
    assert "holds files but no run" in capsys.readouterr().err


def test_states_of_a_classifier_and_of_a_gan(tmp_path: Path) -> None:
    def state(sweep: Sweep) -> str:
        [(_, found)] = plan_sweep(sweep)
        return found

    for trainer, settings in {"classifier": TINY, "gan": {"steps": 40}}.items():
        folder = tmp_path / trainer
        sweep = Sweep(trainer, None, settings, (0,), {"a": {}}, None, folder)  # type: ignore[arg-type]
        [run] = list_runs(sweep)
        assert state(sweep) == "to do"
        run.folder.path.mkdir(parents=True)
        run.folder.write_config(run.config)
        assert state(sweep) == "to do"
        (run.folder.checkpoints / "step-00000040").mkdir(parents=True)
        assert state(sweep) == "to resume"  # a GAN that was asked for scores and has none is not done
        if trainer == "gan":
            early = manifest(1.0, step=20)
            run.folder.write_scores({"history": [early], "last": early, "best": early})
            assert state(sweep) == "to resume"
            unscored = Sweep("gan", None, {**settings, "score_every": 0}, (0,), {"a": {}}, None, folder)
            assert state(unscored) == "done"
        last = manifest(1.0) if trainer == "gan" else classifier_entry(5.0)
        last |= {"step": 40}
        run.folder.write_scores({"last": last, "best": last} | ({"history": [last]} if trainer == "gan" else {}))
        assert state(sweep) == "done"


PACKAGED = sorted((ROOT / "configs/sweep").glob("*.yaml"))


@pytest.mark.parametrize("file", PACKAGED, ids=lambda file: file.name)
def test_the_sweeps_that_come_with_mmgan(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = read_sweep(f"configs/sweep/{file.name}")  # found by its name in any folder
    assert len(list_runs(sweep)) == len(sweep.seeds) * len(sweep.arms)
    assert sweep.baseline == "baseline"
    assert len(sweep.seeds) >= 5
    assert yaml.safe_load(file.read_text())["config"] == sweep.config


def test_there_are_some() -> None:
    assert len(PACKAGED) >= 2
