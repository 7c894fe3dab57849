"""torch-fidelity's other networks as extractors: VGG16 and CLIP, with its resizing and its features."""

import warnings
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmgan.draws import global_stream
from mmgan.scoring.frozen import FrozenExtractor
from mmgan.scoring.resizing import RESIZINGS, TF1, name_with
from mmgan.scoring.weights import FLAG, find_hub_weights, reading_weights

VGG16 = "vgg16"
VGG16_FILE = "vgg16-397923af.pth"
VGG16_URL = f"https://download.pytorch.org/models/{VGG16_FILE}"

CLIP = "clip-vit-b-32"


def find_vgg16_weights(path: Path | str | None, *, download: bool) -> Path:
    """torchvision's file of ImageNet weights; see `find_hub_weights`."""
    return find_hub_weights(VGG16_FILE, VGG16_URL, "397923af", path, download=download)


def find_clip_weights(path: Path | str | None, *, download: bool) -> Path:
    """OpenAI's TorchScript archive; see `find_hub_weights`."""
    from torch_fidelity.feature_extractor_clip import MODEL_METADATA, MODEL_URLS

    digest = MODEL_METADATA[CLIP]["hash"]
    return find_hub_weights(f"{CLIP}-{digest}.pt", MODEL_URLS[CLIP], digest, path, download=download)


def vgg16_extractor(weights: Path | str, device: torch.device | str = "cpu", *, resize: str = TF1) -> FrozenExtractor:
    """The 4096 outputs of the second hidden layer after its ReLU, with which precision and recall are published.

    Raises:
        UserError: if the file does not hold VGG16's weights.
    """
    from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16

    with reading_weights(f"'{weights}' does not hold VGG16's weights: give {FLAG}, {VGG16_FILE}"):
        # Read as plain tensors first: torch-fidelity itself would run whatever code a pickle holds.
        torch.load(weights, map_location="cpu", weights_only=True)
        with global_stream(0, VGG16):
            network = FeatureExtractorVGG16(VGG16, ["fc2_relu"], str(weights))
    return _extractor(network, VGG16, "fc2_relu", "ImageNet's mean and deviation", device, resize)


def clip_extractor(weights: Path | str, device: torch.device | str = "cpu", *, resize: str = TF1) -> FrozenExtractor:
    """The image embedding of CLIP ViT-B/32, not scaled to unit length.

    Raises:
        UserError: if the file is not CLIP's TorchScript archive.
    """
    from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP

    refusal = f"'{weights}' is not CLIP's TorchScript archive: give {FLAG}, ViT-B-32.pt"
    with reading_weights(refusal), global_stream(0, CLIP), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit")  # the published file's format is deprecated
        network = FeatureExtractorCLIP(CLIP, ["clip"], str(weights))
    return _extractor(network, CLIP, "image embedding", "CLIP's mean and deviation", device, resize)


def _extractor(
    network: Any, name: str, layer: str, scaling: str, device: torch.device | str, resize: str
) -> FrozenExtractor:
    size = network.resolution if name == CLIP else network.INPUT_IMAGE_SIZE

    def prepare(images: UInt8[Tensor, "n 3 h w"]) -> UInt8[Tensor, "n 3 s t"]:
        # The network resizes as TensorFlow 1 and scales: images that have its size stay as they are.
        return images if resize == TF1 else RESIZINGS[resize].resize(images, size)

    def forward(x: UInt8[Tensor, "n 3 h w"]) -> tuple[Tensor, None]:
        return network(x)[0], None  # (n, d)

    return FrozenExtractor(
        network,
        name_with(name, resize, TF1),
        prepare=prepare,
        forward=forward,
        layer=layer,
        preprocessing=f"{size} px, {RESIZINGS[resize].words}, {scaling}",
        device=device,
    )
