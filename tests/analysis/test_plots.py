from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan.analysis.calibration import reliability_curve
from mmgan.analysis.deformations import TABLE_9
from mmgan.analysis.plots import deformation_plot, reliability_diagram, singular_value_plot
from mmgan.errors import UserError

CURVE = reliability_curve(torch.randn(99, 4, generator=torch.Generator().manual_seed(0)), torch.arange(99) % 4)
SPECTRA = {"baseline": [50.0, 20.0, 3.0, 1e-14], "manifold mixup": [40.0, 2.0, 0.5, 0.0]}
ACCURACY = {f"arm {arm}": {name: 60.0 - i + arm for i, name in enumerate(TABLE_9)} for arm in range(3)}
PLOTS = {
    "reliability": lambda path: reliability_diagram(CURVE, path, title="baseline"),
    "spectra": lambda path: singular_value_plot(SPECTRA, path),
    "long spectra": lambda path: singular_value_plot({"h1": np.geomspace(90, 0.1, 300).tolist()}, path),
    "deformations": lambda path: deformation_plot(ACCURACY, path),
}
plots = pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)


@pytest.mark.slow(1)
@plots
def test_a_plot_is_a_small_png_and_always_the_same_file(plot, tmp_path):
    plot(tmp_path / "one.png")
    plot(tmp_path / "two.png")
    data = (tmp_path / "one.png").read_bytes()
    assert data == (tmp_path / "two.png").read_bytes()
    assert len(data) < 150_000
    image = np.asarray(Image.open(BytesIO(data)).convert("L"))
    assert 500 <= image.shape[1] <= 900
    assert image.std() > 10  # not an empty sheet


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_the_plot_shows_the_numbers(tmp_path):
    for name, top in (("a.png", 60.0), ("b.png", 30.0)):
        deformation_plot({"arm": {"zoom-in-80": top, "zoom-in-60": 10.0}}, tmp_path / name)
    # A bar's colour covers in proportion to its value.
    bars = [int((pixels(tmp_path / name) == (31, 119, 180)).all(axis=2).sum()) for name in ("a.png", "b.png")]
    assert bars[0] / bars[1] == pytest.approx(70 / 40, rel=0.02)


def test_what_cannot_be_plotted_is_refused(tmp_path):
    path = tmp_path / "x.png"
    with pytest.raises(UserError, match="no singular values"):
        singular_value_plot({}, path)
    with pytest.raises(UserError, match="no singular values"):
        singular_value_plot({"h1": []}, path)
    with pytest.raises(UserError, match="same ones"):
        deformation_plot({"a": {"zoom": 1.0}, "b": {"shear": 1.0}}, path)
    assert not path.exists()
