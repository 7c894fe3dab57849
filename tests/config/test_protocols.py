"""Protocols by name decide what belongs to them, and refuse what contradicts them."""

from dataclasses import replace

import pytest

from mmgan.config.gan import GanScoreSettings
from mmgan.config.protocols import PROTOCOLS
from mmgan.errors import UserError


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_decides_splits_and_counts(name: str) -> None:
    settings, protocol = GanScoreSettings(protocol=name), PROTOCOLS[name]  # type: ignore[arg-type]
    assert (settings.real_split, settings.real_images) == (protocol.real_split, protocol.real_images)
    assert (settings.score_samples, settings.is_splits) == (protocol.score_samples, protocol.is_splits)
    assert replace(settings, extractor="timm:some") == GanScoreSettings(protocol=name, extractor="timm:some")  # type: ignore[arg-type]


def test_published_counts() -> None:
    counts = {name: (p.real_split, p.real_images, p.score_samples) for name, p in PROTOCOLS.items()}
    assert counts == {
        "train-50k": ("train", 50_000, 50_000),
        "test-10k": ("test", 10_000, 10_000),
        "miyato-10k-5k": ("train", 10_000, 5_000),
    }


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"score_samples": 2000}, "--score-samples 2000 is not --protocol test-10k, which has 10000"),
        ({"is_splits": 2}, "--is-splits 2 is not"),
        ({"real_images": 100}, "--real-images 100 is not"),
        ({"resize": "clean"}, "leave out --resize clean"),
    ],
)
def test_what_contradicts_a_protocol_is_refused(chosen: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        GanScoreSettings(protocol="test-10k", **chosen)  # type: ignore[arg-type]
    GanScoreSettings(**chosen)  # type: ignore[arg-type]
