import hashlib
import shutil
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
import torch_fidelity
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from mmgan.errors import UserError
from mmgan.scoring import InceptionExtractor, ScoreSettings, find_inception_weights, inception, score_folders
from mmgan.scoring.inception import WEIGHTS_NAME
from tests.support.scoring_images import smooth_images, write_images

SETTINGS = ScoreSettings(splits=3, kid_subsets=4, kid_subset_size=12)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.slow(7)
def test_scores_are_those_of_torch_fidelity(
    inception_weights: Path, tmp_path: Path, rng_untouched: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On both sides, for speed: the network takes any size from 75 up.
    monkeypatch.setattr(FeatureExtractorInceptionV3, "INPUT_IMAGE_SIZE", 107)
    digest = hashlib.sha256(inception_weights.read_bytes()).hexdigest()
    monkeypatch.setattr(inception, "WEIGHTS_NAME", f"weights-{digest[:8]}.pth")
    write_images(tmp_path / "a", smooth_images(14, 0, size=32))
    write_images(tmp_path / "b", smooth_images(16, 1, 0.8, size=32))
    extractor = InceptionExtractor(inception_weights, fast=False)
    scores, fakes, reals = score_folders(tmp_path / "a", tmp_path / "b", extractor, SETTINGS)
    assert (fakes, reals) == (14, 16)
    with torch.random.fork_rng():
        expected = torch_fidelity.calculate_metrics(
            input1=str(tmp_path / "a"),
            input2=str(tmp_path / "b"),
            cuda=False,
            isc=True,
            fid=True,
            kid=True,
            isc_splits=3,
            kid_subsets=4,
            kid_subset_size=12,
            feature_extractor_weights_path=str(inception_weights),
            save_cpu_ram=True,
            verbose=False,
        )
    assert scores.values == pytest.approx(expected, rel=1e-6)
    assert expected["frechet_inception_distance"] > 1e-3  # the random network tells the folders apart


@pytest.mark.slow(1)
def test_folded_and_plain_grey_and_rgb_agree(inception_weights: Path, rng_untouched: None) -> None:
    fast = InceptionExtractor(inception_weights)
    assert fast.name == "inception-other-weights"  # FID is the published weights' alone
    exact = InceptionExtractor(inception_weights, fast=False)
    assert fast.digest == exact.digest
    clean = InceptionExtractor(inception_weights, resize="clean")
    assert clean.name == "inception-other-weights-clean"
    assert clean.preprocessing == "299 px, antialiased bicubic in float as clean-fid"
    assert clean.fingerprint not in (fast.fingerprint, exact.fingerprint)
    images = smooth_images(2, 0, size=299)  # of the network's size, so that nothing is resized
    torch.testing.assert_close(clean(images).features, fast(images).features, rtol=0, atol=1e-4)
    assert fast.fingerprint != exact.fingerprint
    grey = smooth_images(2, 0, size=28, channels=1)
    found = fast(grey)
    assert found.features.shape == (2, fast.dims)
    assert found.logits.shape == (2, fast.num_classes)
    plain = exact(grey.expand(-1, 3, -1, -1))
    scale = plain.features.abs().max().item()
    assert scale > 1e-3
    torch.testing.assert_close(found.features, plain.features, rtol=0, atol=1e-5 * scale)
    torch.testing.assert_close(found.logits, plain.logits, rtol=0, atol=1e-5 * plain.logits.abs().max().item())


def test_a_given_file_is_taken_and_must_exist(inception_weights: Path, tmp_path: Path) -> None:
    assert find_inception_weights(inception_weights) == inception_weights
    for wrong in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(UserError, match="--extractor-weights FILE"):
            find_inception_weights(wrong)


@pytest.mark.parametrize("content", [b"", b"not weights", {"a": torch.zeros(1)}, [torch.zeros(1)], print])
def test_files_of_other_things_are_refused(content: Any, tmp_path: Path, rng_untouched: None) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(UserError, match="does not hold the FID Inception's weights: give --extractor-weights FILE"):
        InceptionExtractor(path)


def test_without_network_one_line_names_file_and_flag(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*args: Any, **kwargs: Any) -> None:
        raise urllib.error.URLError("Name or service\nnot known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    for download in (True, False):
        with pytest.raises(UserError) as caught:
            find_inception_weights(download=download)
        message = str(caught.value)
        assert "\n" not in message
        assert str(hub / "checkpoints" / WEIGHTS_NAME) in message
        assert "--extractor-weights FILE" in message
        assert ("not known" in message) == download


def test_a_download_lands_in_the_cache(hub: Path, monkeypatch: pytest.MonkeyPatch, inception_weights: Path) -> None:
    asked = []

    def fetch(url: str, path: str, hash_prefix: str, progress: bool) -> None:
        asked.append((url.rsplit("/", 1)[-1], hash_prefix))
        shutil.copy(inception_weights, path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    found = find_inception_weights()
    assert found == hub / "checkpoints" / WEIGHTS_NAME
    assert found.is_file()
    assert asked == [(WEIGHTS_NAME, "6726825d")]


def test_a_cached_file_is_verified_by_the_hash_in_its_name(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (hub / "checkpoints").mkdir(parents=True)
    (hub / "checkpoints" / WEIGHTS_NAME).write_bytes(b"half a download")
    with pytest.raises(UserError, match="damaged"):
        find_inception_weights(download=False)
    sound = hub / "checkpoints" / f"weights-{hashlib.sha256(b'sound').hexdigest()[:8]}.pth"
    sound.write_bytes(b"sound")
    monkeypatch.setattr(inception, "WEIGHTS_NAME", sound.name)
    assert find_inception_weights(download=False) == sound


@pytest.mark.slow(1)
def test_the_folded_network_has_no_batch_norm_and_sees_every_image_once(
    inception_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FeatureExtractorInceptionV3, "INPUT_IMAGE_SIZE", 107)
    monkeypatch.setattr(inception, "CPU_ROWS", 4)
    extractor = InceptionExtractor(inception_weights)
    assert not [m for m in extractor._network.modules() if isinstance(m, nn.BatchNorm2d)]
    convolutions = [m for m in extractor._network.modules() if isinstance(m, nn.Conv2d)]
    rows: list[int] = []
    for convolution in convolutions:
        convolution.register_forward_hook(lambda module, args, output: rows.append(len(output)))
    images = smooth_images(10, 0, size=32)
    found = extractor(images)
    assert rows == [4] * len(convolutions) + [4] * len(convolutions) + [2] * len(convolutions)
    for i in (0, 7, 9):  # put back in their order
        torch.testing.assert_close(found.features[i], extractor(images[i : i + 1]).features[0], rtol=1e-4, atol=1e-4)
