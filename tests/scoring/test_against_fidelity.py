"""Two folders of PNGs, scored by torch-fidelity's own call and by `mmgan score`, with VGG16 and CLIP; with Inception in
test_inception.py."""

import json
import warnings
from pathlib import Path

import pytest
import torch
import torch_fidelity

import mmgan.__main__
from tests.support.fidelity_files import small_clip_file, small_vgg16_file
from tests.support.scoring_images import smooth_images, write_images

SIDE = 60
"""Images a side: more than either network has features, so that no covariance is singular."""


@pytest.mark.parametrize("name", ["vgg16", "clip-vit-b-32"])
def test_scores_are_those_of_torch_fidelity(
    name: str, tmp_path: Path, rng_untouched: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMGAN_CACHE", str(tmp_path / "cache"))
    weights = small_vgg16_file(tmp_path, monkeypatch) if name == "vgg16" else small_clip_file(tmp_path)
    one = write_images(tmp_path / "one", smooth_images(SIDE, 0, size=32))
    other = write_images(tmp_path / "other", smooth_images(SIDE, 1, 0.8, size=32))
    found = tmp_path / "found.json"
    flags = ["--real", str(other), "--extractor", name, "--extractor-weights", str(weights), "--precision-recall"]
    assert mmgan.__main__.main(["score", str(one), *flags, "--json", str(found)]) == 0
    ours = json.loads(found.read_text())["scores"]
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own: the format of CLIP's file is deprecated
        theirs = torch_fidelity.calculate_metrics(
            input1=str(one),
            input2=str(other),
            cuda=False,
            fid=True,
            kid=True,
            prc=True,
            kid_subset_size=SIDE,
            feature_extractor=name,
            feature_extractor_weights_path=str(weights),
            prc_feature_extractor=name,
            save_cpu_ram=True,
            verbose=False,
        )
    assert theirs["frechet_inception_distance"] > 1e-3
    assert ours["frechet_distance"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)
    assert ours["kernel_distance_mean"] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-5)
    for measure in ("precision", "recall"):
        assert ours[measure] == pytest.approx(theirs[measure], abs=1e-6)  # theirs is float32
