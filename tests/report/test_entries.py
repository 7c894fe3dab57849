"""What a score is called: FID, KID and IS are Inception's alone."""

from mmgan.report.entries import FID, IS, metrics_of
from tests.support.report_runs import manifest

JUDGE = {"name": "timm:net", "digest": "0" * 64, "dims": 8}
INCEPTION = {"name": "inception", "digest": "0" * 64, "dims": 2048}


def named(entry: dict[str, object]) -> dict[str, float | None]:
    return {metric.name: metric.value(entry) for metric in metrics_of(entry)}


def test_scores_are_named_after_their_extractor() -> None:
    kept = manifest(10.0)["scores"]
    assert named(manifest(10.0, extractor=INCEPTION)) == {"IS": 5.0, "FID": 10.0, "KID": 0.01}
    scores = {"class_score:timm:net_mean": 5.0, "class_score:timm:net_std": 0.5}
    scores |= {"frechet_distance": 10.0, "kernel_distance_mean": 0.01, "kernel_distance_std": 0.1}
    entry = manifest(10.0, extractor=JUDGE, scores=scores, intervals={"frechet_distance": [9.0, 11.0]})
    assert named(entry) == {"class score": 5.0, "FD (timm:net)": 10.0, "KD": 0.01}
    assert (FID.interval(entry), IS.deviation(entry)) == ((9.0, 11.0), 0.5)
    early = manifest(10.0, extractor=JUDGE, scores=kept)  # such a run is on disk under Inception's keys
    assert named(early) == named(entry)
    assert metrics_of(early) == metrics_of(entry)


def test_without_logits_there_is_no_class_score() -> None:
    scores = {"frechet_distance": 10.0, "kernel_distance_mean": 0.01, "kernel_distance_std": 0.1}
    assert list(named(manifest(10.0, extractor=JUDGE, scores=scores))) == ["FD (timm:net)", "KD"]
