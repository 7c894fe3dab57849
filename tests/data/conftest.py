import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or leaves anything in the user's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MMGAN_CACHE", str(folder))
    return folder


@pytest.fixture
def real_data() -> Path:
    if not os.environ.get("MMGAN_DATA"):
        pytest.skip("MMGAN_DATA is unset: no real data sets")
    return Path(os.environ["MMGAN_DATA"])
