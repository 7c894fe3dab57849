"""What is installed holds one top-level name, made through an sdist, and works from another folder."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow(10)

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `python -m build` makes from the sdist that it makes from the checkout."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    assert len(list(out.glob("mmgan-*.tar.gz"))) == 1
    return next(out.glob("mmgan-*.whl"))


def test_the_wheel_holds_mmgan_alone_with_networks_and_configs_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"mmgan"}
    for folder in ("discriminators", "classifiers", "configs"):
        here = {
            f"mmgan/{path.relative_to(ROOT)}"
            for path in (ROOT / folder).rglob("*.*")
            if path.suffix in (".py", ".yaml")
        }
        assert here
        assert here <= set(names)
    assert "mmgan/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:  # what pip does with a pure wheel, without asking an index
        archive.extractall(site)
    return site


def run(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_installed_package_is_imported_from_elsewhere(installed: Path, tmp_path: Path) -> None:
    code = (
        "import json, mmgan, mmgan.discriminators, mmgan.classifiers;"
        "print(json.dumps([m.__file__ for m in (mmgan, mmgan.discriminators, mmgan.classifiers)]))"
    )
    done = run(installed, tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
    assert all(Path(file).is_relative_to(installed) for file in json.loads(done.stdout))


def test_the_bare_command_runs_from_the_installed_package(installed: Path, tmp_path: Path) -> None:
    flags = ["--mix", "1,2,pixel", "--steps", "2", "--score-every", "0", "--config", "configs/gan/digits.yaml"]
    done = run(installed, tmp_path, "-m", "mmgan", "train-gan", *flags)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/digits-1+2+pixel-seed0/checkpoints/step-00000002").is_dir()
