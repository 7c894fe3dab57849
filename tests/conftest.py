"""What holds for all tests: shapes are checked, slow files start first, and one cache serves all workers."""

import fcntl
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from jaxtyping import install_import_hook

from tests.support import shape_checks
from tests.support.charts import blank_charts

SUPPORT = ["by_hand", "compare", "forks", "launches", "two_processes"]
"""Helpers that assert."""
pytest.register_assert_rewrite(*(f"tests.support.{name}" for name in SUPPORT))

# Not the networks that are mixed: they state n rows in, n rows out, and an append inside them makes it more.
# Not mmgan.mixing.plan either: a plan checks its own tensors, and the tests must see that it does.
HOOKED = ["mixing.policies", "losses", "data", "generators", "scoring", "analysis"]
install_import_hook([f"mmgan.{name}" for name in HOOKED], f"{shape_checks.__name__}.shapes_only")

WORKER = os.environ.get("PYTEST_XDIST_WORKER")
"""This process's name where several share the tests."""
# More threads than OMP_NUM_THREADS allows only contend: the networks here are tiny.
torch.set_num_threads(1 if WORKER else min(2, torch.get_num_threads()))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order of the seconds that their `slow` marks name, so that no worker begins a long one last."""
    marks = {(item.path, id(mark)): mark for item in items for mark in item.iter_markers("slow")}
    seconds: Counter[Path] = Counter()
    for (path, _), mark in marks.items():
        seconds[path] += mark.args[0]
    items.sort(key=lambda item: -seconds[item.path])


@pytest.fixture(scope="session")
def suite_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache folder for the tests of all workers, and for what they start."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if WORKER else own) / "mmgan-cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _no_cache_of_the_user(suite_cache: Path) -> Iterator[None]:
    """Nothing is read from the user's own cache, and nothing left there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMGAN_CACHE", str(suite_cache))
        patch.setenv("MMGAN_TEST_CACHE", str(suite_cache))  # MMGAN_CACHE may be another in some tests
        yield


@pytest.fixture(scope="session")
def judge_cache(suite_cache: Path) -> Path:
    """The suite's cache with the digits judge in it, which one worker trains while the others wait."""
    from mmgan.data import load_images
    from mmgan.supervised.judges import judge_network

    images = load_images("digits", "unused", image_size=16)
    _, channels, _, size = images.pixels.shape
    with (suite_cache / "judge.lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        patch.setenv("MMGAN_CACHE", str(suite_cache))
        judge_network("digits", "unused", image_size=size, channels=channels)
    return suite_cache


@pytest.fixture
def forked_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of a sweep and of an experiment are forks of one Python; all else about them is as it is."""
    import mmgan.experiments.classifiers.evaluations
    import mmgan.experiments.study.runs
    import mmgan.sweeps.local
    from tests.support.forks import ForkedPopen, forked_run

    forked = SimpleNamespace(Popen=ForkedPopen, run=forked_run, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT)
    for module in (mmgan.sweeps.local, mmgan.experiments.classifiers.evaluations, mmgan.experiments.study.runs):
        monkeypatch.setattr(module, "subprocess", forked)


@pytest.fixture
def blank() -> Iterator[None]:
    """Charts are not drawn."""
    with blank_charts():
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder that MMGAN_DATA names, which holds MNIST/, FashionMNIST/ and cifar10-jpeg/."""
    root = os.environ.get("MMGAN_DATA")
    if not root:
        pytest.skip("MMGAN_DATA is not set: it names the folder that holds MNIST/, FashionMNIST/ and cifar10-jpeg/")
    if not Path(root).is_dir():
        pytest.fail(f"MMGAN_DATA names {root}, which is not a folder")
    return Path(root)
