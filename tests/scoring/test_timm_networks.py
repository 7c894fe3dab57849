"""A real ImageNet network, and DINOv2's form with random weights against the authors' arithmetic written out."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from mmgan.errors import UserError
from mmgan.scoring import extractor_source
from mmgan.scoring.dinov2 import MODELS
from mmgan.scoring.extractors import Extractor
from tests.support.natural import LITE, needs_lite
from tests.support.scoring_images import smooth_images

timm = pytest.importorskip("timm")


def built(name: str, weights: Path) -> Extractor:
    source = extractor_source(name)
    return source.build(source.find(weights, download=False), "cpu")


@needs_lite
def test_a_real_network_gives_timms_own_features_and_logits() -> None:
    extractor = built("timm:tf_efficientnet_lite0", LITE)
    images = smooth_images(3, 0, size=40)
    found = extractor(images)
    network = timm.create_model("tf_efficientnet_lite0").eval()
    network.load_state_dict(load_file(LITE))
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network), is_training=False)
    pictures = [Image.fromarray(image.movedim(0, -1).numpy()) for image in images]
    with torch.inference_mode():
        x = torch.stack([transform(picture) for picture in pictures])
        logits = network(x)
        network.reset_classifier(0)
        features = network(x)
    torch.testing.assert_close(found.features, features, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.logits, logits, atol=1e-4, rtol=1e-4)
    assert (extractor.dims, extractor.num_classes) == (1280, 1000)
    assert "center crop of 0.875 at 224 px, Pillow's bicubic" in extractor.preprocessing
    torch.testing.assert_close(extractor(images[:1]).features, found.features[:1], atol=1e-4, rtol=1e-4)


@needs_lite
def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(UserError, match="does not hold weights of timm's 'test_vit'"):
        built("timm:test_vit", LITE)


def test_refusals_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, message in [
        ("timm:efficientnet_lite", "no model 'efficientnet_lite': .* such as efficientnet_lite0"),
        ("timm:", "no extractor 'timm:'"),
        ("resnet", "choose inception, vgg16, .*timm:NAME"),
    ]:
        with pytest.raises(UserError, match=message):
            extractor_source(name).find(None, download=False)
    with pytest.raises(UserError, match="not a file: give --extractor-weights"):
        extractor_source("timm:test_vit").find(tmp_path / "absent", download=False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    with pytest.raises(UserError, match="Hugging Face cache: give --extractor-weights FILE or add --download"):
        extractor_source("dinov2-vit-s-14").find(None, download=False)
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(UserError, match=r"pip install 'mmgan\[timm\]'"):
        extractor_source("timm:test_vit").find(None, download=False)


def test_a_network_without_classes_has_no_logits(tmp_path: Path) -> None:
    network = timm.create_model("test_vit", num_classes=0)
    torch.save(network.state_dict(), tmp_path / "own.pth")
    with pytest.raises(UserError, match="does not hold weights"):
        built("timm:test_vit", tmp_path / "own.pth")  # timm's has a classifier, whose weights are absent


@pytest.fixture(scope="module")
def dinov2_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights under the authors' names, for the small model."""
    d, generator = 384, torch.Generator().manual_seed(0)

    def noise(*shape: int, scale: float = 0.05) -> Tensor:
        return scale * torch.randn(shape, generator=generator)

    state = {"cls_token": noise(1, 1, d, scale=1), "pos_embed": noise(1, 1370, d, scale=1), "mask_token": noise(1, d)}
    state |= {"patch_embed.proj.weight": noise(d, 3, 14, 14), "patch_embed.proj.bias": noise(d)}
    for i in range(12):
        shapes = {"attn.qkv": (3 * d, d), "attn.proj": (d, d), "mlp.fc1": (4 * d, d), "mlp.fc2": (d, 4 * d)}
        for name, shape in shapes.items():
            state |= {f"blocks.{i}.{name}.weight": noise(*shape), f"blocks.{i}.{name}.bias": noise(shape[0])}
        for name in ("norm1", "norm2"):
            state |= {f"blocks.{i}.{name}.weight": 1 + noise(d), f"blocks.{i}.{name}.bias": noise(d)}
        state |= {f"blocks.{i}.ls{k}.gamma": noise(d, scale=0.3) for k in (1, 2)}
    state |= {"norm.weight": 1 + noise(d), "norm.bias": noise(d)}
    path = tmp_path_factory.mktemp("dinov2") / "dinov2_vits14_pretrain.pth"
    torch.save(state, path)
    return path


def dinov2_by_hand(p: dict[str, Tensor], x: Tensor) -> Tensor:
    """The authors' forward: images scaled by ImageNet's mean and deviation, (n, 3, 224, 224) -> (n, 384)."""

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (384,), p[f"{name}.weight"], p[f"{name}.bias"], 1e-6)

    patches = F.conv2d(x, p["patch_embed.proj.weight"], p["patch_embed.proj.bias"], stride=14)  # (n, 384, 16, 16)
    grid = p["pos_embed"][:, 1:].reshape(1, 37, 37, 384).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, scale_factor=(16.1 / 37, 16.1 / 37), mode="bicubic", antialias=False)
    tokens = (patches + grid).flatten(2).transpose(1, 2)  # (n, 256, 384)
    first = p["cls_token"] + p["pos_embed"][:, :1]
    h = torch.cat([first.expand(len(x), 1, 384), tokens], dim=1)
    for i in range(12):
        block = f"blocks.{i}"
        qkv = linear(norm(h, f"{block}.norm1"), f"{block}.attn.qkv").reshape(len(x), 257, 3, 6, 64)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(64)).softmax(-1)
        mixed = (weights @ v).transpose(1, 2).reshape(len(x), 257, 384)
        h = h + p[f"{block}.ls1.gamma"] * linear(mixed, f"{block}.attn.proj")
        hidden = F.gelu(linear(norm(h, f"{block}.norm2"), f"{block}.mlp.fc1"))
        h = h + p[f"{block}.ls2.gamma"] * linear(hidden, f"{block}.mlp.fc2")
    return norm(h, "norm")[:, 0]


def dgm_eval_images(images: Tensor) -> Tensor:
    """PIL's bicubic to 224 x 224, then ImageNet's mean and deviation."""
    pictures = [Image.fromarray(image.movedim(0, -1).numpy()) for image in images]
    big = np.stack([np.asarray(picture.resize((224, 224), Image.Resampling.BICUBIC)) for picture in pictures])
    x = torch.from_numpy(big).movedim(-1, 1) / 255
    return (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


@pytest.mark.slow(2)
def test_dinov2_is_the_authors_network_on_dgm_evals_images(dinov2_file: Path) -> None:
    extractor = built("dinov2-vit-s-14", dinov2_file)
    images = smooth_images(2, 0, size=48)
    expected = dinov2_by_hand(torch.load(dinov2_file), dgm_eval_images(images))
    found = extractor(images).features
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)
    other = built("dinov2-vit-s-14-tf1", dinov2_file)(images).features
    assert (other - found).abs().max() > 0.01
    assert (extractor.dims, extractor.num_classes) == (384, 0)


def test_the_giants_hidden_layers_are_converted_too() -> None:
    with torch.device("meta"):
        network = timm.create_model(MODELS["dinov2-vit-g-14"].split(".")[0])
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters() if name.startswith("blocks.39.mlp")}
    assert shapes["blocks.39.mlp.fc1.weight"] == (8192, 1536)  # the authors' w12
    assert shapes["blocks.39.mlp.fc2.weight"] == (1536, 4096)  # the authors' w3
    with torch.device("meta"):
        theirs = {"mask_token": torch.empty(1), "blocks.39.mlp.w12.weight": torch.empty(8192, 1536)}
    converted = timm.models.vision_transformer.checkpoint_filter_fn(theirs, network)
    assert list(converted) == ["blocks.39.mlp.fc1.weight"]
