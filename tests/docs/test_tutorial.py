"""The tutorial runs as it stands, and its cells print and draw what its text announces."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from docs.scripts.tutorial_page import execute

TUTORIAL = Path(__file__).parents[2] / "docs/tutorial.py"


@pytest.mark.slow(20)
def test_the_tutorial_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    scope: dict[str, Any] = {"__name__": "__main__"}
    printed, pictures = execute(TUTORIAL.read_text(encoding="utf-8"), scope)
    assert torch.get_num_threads() == threads
    assert re.search(r"difference [+-][\d.]+, 95 % interval \[[+-][\d.]+, [+-][\d.]+\], n = 3", printed)
    assert printed.count("D: r ") == 2
    assert len(pictures) == 3  # samples, and a diagnosis of each discriminator
    assert scope["mixed"] != scope["plain"]  # the term took part in training
