"""The GAN's command, alone and in two processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.forks import Job, run_one

pytestmark = pytest.mark.slow(8)

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SMALL = [
    *("--mix", "1,2,pixel", "--d-width", "4", "--g-width", "4", "--batch-size", "8"),
    *("--n-dis", "2", "--steps", "4", "--score-samples", "300", "--is-splits", "2"),
]


def launch(launcher: list[str], *words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run([*launcher, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory, judge_cache: Path) -> tuple[Path, str]:
    """Under a real launcher: tests/faults/test_signals.py."""
    out = tmp_path_factory.mktemp("two") / "run"
    done = run_one(Job("gan", [*SMALL, "--out", str(out)], processes=2))
    assert done.codes == [0, 0], done.err
    return out, done.out


def test_without_a_config_the_embedded_default_is_trained_and_judged(tmp_path: Path) -> None:
    """By its path in a checkout, under a launcher of one process: tests/faults/test_signals.py."""
    done = run_one(Job("gan", [*SMALL, "--out", str(tmp_path / "run")]))
    assert done.code == 0, done.err
    assert "no --config: the embedded default" in done.out
    assert "FD (classifier:digits)" in done.out


def test_two_processes_share_the_batch_and_keep_every_image(two_processes: tuple[Path, str]) -> None:
    out, said = two_processes
    assert "2 processes" in said
    assert json.loads((out / "checkpoints/step-00000004/state.json").read_text())["processes"] == 2
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["images"] == 4 * 2 * 8  # n_dis 2, batch 8 over both


@pytest.mark.parametrize("processes", [1, 2])
def test_scoring_the_two_process_run_again_gives_bitwise_the_same(
    processes: int, two_processes: tuple[Path, str], tmp_path: Path
) -> None:
    out, _ = two_processes
    argv = ["score", str(out), "--json", str(tmp_path / "again.json")]
    done = run_one(Job("mmgan", argv, processes=processes))
    assert done.codes == [0] * processes, done.err
    assert done.out.count("FD (classifier:digits)") == 1
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["scores"] == json.loads((out / "scores.json").read_text())["last"]["scores"]


def test_two_processes_refuse_with_one_line(tmp_path: Path) -> None:
    argv = [*SMALL, "--out", str(tmp_path / "run"), "--batch-size", "7"]
    done = run_one(Job("gan", argv, processes=2))
    assert done.codes == [2, 2]
    assert "batch" in done.error
    assert "7" in done.error
    assert not (tmp_path / "run").exists()


def test_the_program_exits_with_2_and_one_line(tmp_path: Path) -> None:
    done = run_one(Job("gan", ["--mix", "1", "--alpha", "3", "--out", str(tmp_path / "run")]))
    assert done.code == 2
    assert done.err.strip().splitlines() == [
        "error: alpha 3.0 is out of range: lam ~ Uniform(0, alpha) needs 0 < alpha <= 1"
    ]


def test_help_names_every_flag_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from mmgan.train_gan import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit('torch was imported' if 'torch' in sys.modules else 0)"
    )
    done = launch([sys.executable], "-c", code)
    assert done.returncode == 0, done.stderr
    for flag in ("--mix", "--alpha", "--lam", "--per", "--pairs", "--mix-weight", "--mix-start", "--mix-every"):
        assert f"{flag} " in done.stdout
    for flag in ("--config", "--data", "--data-root", "--image-size", "--seed", "--steps", "--batch-size", "--out"):
        assert f"{flag} " in done.stdout
    for flag in ("--checkpoint-every", "--sample-every", "--score-every"):
        assert f"{flag} " in done.stdout
    assert "--resume" in done.stdout
    assert "--overwrite" in done.stdout
