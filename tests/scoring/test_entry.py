import json
from typing import Any

import pytest
import torch

from mmgan.scoring import Reference, Scores, ScoreSettings, metric_names, score_entry, score_features
from tests.support.scoring_images import smooth_images, tiny_extractor

CONTEXT: dict[str, Any] = {"samples": 50, "real": "smooth", "split": "test", "reals": 60, "device": "cpu"}


@pytest.mark.parametrize("more", [False, True])
def test_every_value_stands_beside_what_it_depends_on(more: bool) -> None:
    flags = dict.fromkeys(("prc", "density", "infinite", "mmd", "intervals"), more)
    extractor, settings = tiny_extractor(), ScoreSettings(**flags, kid_subsets=3)
    real = Reference.of(extractor(smooth_images(60, 1)).features)
    scores = score_features(extractor(smooth_images(50, 0)), real, settings, extractor="tiny")
    written = score_entry(scores, settings, extractor, **CONTEXT, seed=4, step=1000, averaged=True)
    read = json.loads(json.dumps(written, allow_nan=False))
    assert read == written
    assert list(read["scores"]) == metric_names(settings, extractor)
    assert read["scores"] == dict(scores.values)
    assert "class_score:tiny_mean" in read["scores"]
    assert "inception_score_mean" not in read["scores"]
    measured = ["precision", "recall", "density", "coverage", "gaussian_mmd", "frechet_distance_infinite"]
    assert set(read["intervals"]) == ({"frechet_distance", *measured} if more else set())
    for name, (low, high) in read["intervals"].items():
        assert low < read["scores"][name] < high
    assert read["reason"] is None
    assert "KD subsets hold 50" in read["notes"][0]
    judged = {"name": "tiny", "digest": extractor.digest, "dims": 8}
    assert read["extractor"] == judged | {"layer": "3", "preprocessing": "8 px, antialiased bilinear, RGB in [-1, 1]"}
    assert (read["samples"], read["real"]) == (50, {"name": "smooth", "split": "test", "images": 60})
    assert read["settings"]["splits"] == 10
    assert (read["seed"], read["step"], read["averaged_weights"], read["device"]) == (4, 1000, True, "cpu")
    assert (
        read["versions"]["torch"] == torch.__version__.split("+")[0] or read["versions"]["torch"] == torch.__version__
    )
    assert set(read["versions"]) == {"mmgan", "torch", "torch-fidelity"}


def test_a_failure_is_written_as_nulls_with_its_reason() -> None:
    settings = ScoreSettings(prc=True)
    written = score_entry(None, settings, tiny_extractor(), **CONTEXT, reason="3 of 64 images are not finite")
    assert written["reason"] == "3 of 64 images are not finite"
    assert written["scores"] == dict.fromkeys(metric_names(settings, tiny_extractor()))


def test_no_entry_holds_nan_or_lacks_a_reason() -> None:
    extractor = tiny_extractor()
    with pytest.raises(ValueError, match="only finite"):
        score_entry(Scores({"frechet_inception_distance": float("nan")}), ScoreSettings(), extractor, **CONTEXT)
    with pytest.raises(ValueError, match="reason"):
        score_entry(None, ScoreSettings(), extractor, **CONTEXT)
    with pytest.raises(ValueError, match="reason"):
        score_entry(Scores({}), ScoreSettings(), extractor, **CONTEXT, reason="?")
