from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from mmgan.experiments.framework.figures import arms_figure, lines_figure


def test_each_seed_is_a_dot_and_each_mean_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[float, float]] = []

    def note(self: Axes, x: object, y: object, *rest: object, **settings: object) -> list[object]:
        drawn.extend(zip(np.ravel(x), np.ravel(y), strict=True))  # type: ignore[call-overload]
        return []

    monkeypatch.setattr(Axes, "plot", note)
    panels = {"error, %": {"none": [4.0, 6.0], "a": [1.0, 2.0]}, "kNN error, %": {"none": [7.0, 9.0]}}
    arms_figure(panels, tmp_path / "a.png", "title")
    assert drawn == [(4, 0), (6, 0), (5, 0), (1, 1), (2, 1), (1.5, 1), (7, 0), (9, 0), (8, 0)]


def test_figures_are_small_and_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        arms_figure({"error, %": {"none": [4.0, 6.0], "a": [1.0]}}, tmp_path / f"{name}.png")
        lines = {"FID": {"pixel": {0.2: [1.0, 2.0], 0.5: [2.0, 2.5]}}}
        lines_figure(lines, tmp_path / f"{name}-lines.png", "alpha", {"FID": 1.5}, "digits")
    for kind in ("", "-lines"):
        first, second = (tmp_path / f"{name}{kind}.png" for name in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()
        assert first.stat().st_size < 100_000
        with Image.open(first) as picture:
            assert 600 <= picture.width <= 1000
