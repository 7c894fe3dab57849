"""VGG16 and CLIP with random weights in files of the right form, against torch-fidelity's own networks."""

import warnings
from pathlib import Path

import pytest
import torch
from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP
from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16

from mmgan.errors import UserError
from mmgan.scoring import extractor_source
from mmgan.scoring.extractors import Extractor
from tests.support.fidelity_files import SmallVGG, small_clip_file, small_vgg16_file
from tests.support.scoring_images import smooth_images


def built(name: str, weights: Path) -> Extractor:
    source = extractor_source(name)
    return source.build(source.find(weights, download=False), "cpu")


def test_clip_is_torch_fidelitys(tmp_path: Path, rng_untouched: None) -> None:
    clip_file = small_clip_file(tmp_path)
    images = smooth_images(3, 0, size=40)
    extractor = built("clip-vit-b-32", clip_file)
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = FeatureExtractorCLIP("clip-vit-b-32", ["clip"], str(clip_file))
    assert torch.equal(extractor(images).features, theirs(images)[0])
    assert (extractor.dims, extractor.num_classes) == (16, 0)
    assert extractor.preprocessing.startswith("64 px, bilinear as TensorFlow 1")


def test_vgg16_is_torch_fidelitys(tmp_path: Path, rng_untouched: None, monkeypatch: pytest.MonkeyPatch) -> None:
    vgg16_file = small_vgg16_file(tmp_path, monkeypatch)
    images = smooth_images(2, 0, size=40)
    extractor = built("vgg16", vgg16_file)
    with torch.random.fork_rng():
        theirs = FeatureExtractorVGG16("vgg16", ["fc2_relu"], str(vgg16_file))
    found = extractor(images)
    assert torch.equal(found.features, theirs(images)[0])
    assert (found.features > 0).any()
    other = extractor_source("vgg16", "pillow-bicubic").build(vgg16_file, "cpu")
    assert (other.name, other.preprocessing[:32]) == ("vgg16-pillow", "224 px, antialiased bicubic as P")
    assert not torch.equal(other(images).features, found.features)
    assert found.logits.shape == (2, 0)


@pytest.mark.parametrize("name", ["vgg16", "clip-vit-b-32"])
def test_other_files_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.models.vgg16", SmallVGG)
    (tmp_path / "text").write_text("no weights")
    torch.save({"some": torch.zeros(2)}, tmp_path / "other")
    for file in ("text", "other"):
        with pytest.raises(UserError, match="give --extractor-weights FILE"):
            built(name, tmp_path / file)


def test_resizing_that_an_extractor_does_not_have_is_refused() -> None:
    for name, message in {"vgg16": "it has tf1, pillow-bicubic", "timm:resnet18": "its model decides"}.items():
        with pytest.raises(UserError, match=f"--resize clean is not for the extractor '{name}': {message}"):
            extractor_source(name, "clean")


def test_absent_and_damaged_cached_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    for name in ("vgg16", "clip-vit-b-32"):
        find = extractor_source(name).find
        with pytest.raises(UserError, match="give --extractor-weights FILE or add --download"):
            find(None, download=False)
    cached = tmp_path / "checkpoints" / "vgg16-397923af.pth"
    cached.parent.mkdir()
    cached.write_bytes(b"cut")
    with pytest.raises(UserError, match="damaged: delete the file"):
        extractor_source("vgg16").find(None, download=False)
