"""The table of the repeat on Fashion-MNIST, from runs that are made up."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from docs.scripts import fashion_repeat
from mmgan.errors import UserError
from mmgan.sweeps.definition import list_runs
from mmgan.sweeps.read import read_sweep
from tests.support.report_runs import manifest


def test_three_lines_a_score_and_their_intervals() -> None:
    rng = np.random.default_rng(0)
    old, new = ({"FID": {arm: list(rng.normal(size=n)) for arm in ("none", fashion_repeat.MIX)}} for n in (16, 10))
    lines = fashion_repeat.table(old, new).splitlines()[2:]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert [(c[0], c[1], c[2]) for c in cells] == [
        ("FID", "first seeds", "16"),
        ("FID", "new seeds", "10"),
        ("FID", "all", "26"),
    ]
    both = [np.array(old["FID"][arm] + new["FID"][arm]) for arm in (fashion_repeat.MIX, "none")]
    d = both[0] - both[1]
    half = stats.t.ppf(0.975, 25) * d.std(ddof=1) / 26**0.5
    assert cells[2][3] == f"{d.mean():+.3f} [{d.mean() - half:+.3f}, {d.mean() + half:+.3f}]"


def test_the_runs_of_the_sweep_are_read(tmp_path: Path) -> None:
    sweep = read_sweep("configs/sweep/fashion-mnist-repeat.yaml")
    assert tuple(sweep.seeds) == tuple(fashion_repeat.SEEDS)
    names = {Path(run.folder.path).parent.name for run in list_runs(sweep)}
    assert names == set(fashion_repeat.FOLDERS.values())
    wanted: dict[str, list[float]] = {}
    for k, (arm, name) in enumerate(fashion_repeat.FOLDERS.items()):
        for seed in sweep.seeds:
            folder = tmp_path / name / f"seed{seed}"
            folder.mkdir(parents=True)
            entry: dict[str, Any] = manifest(seed + 0.5 * k) | {"step": 300}
            (folder / "scores.json").write_text(json.dumps({"last": entry, "best": entry, "history": [entry]}))
            wanted.setdefault(arm, []).append(seed + 0.5 * k)
    assert fashion_repeat.repeated(tmp_path)["values"]["FID"] == wanted
    (folder / "scores.json").unlink()
    with pytest.raises(UserError, match=r"seed1009 is not finished: run the sweep again"):
        fashion_repeat.repeated(tmp_path)
