"""DINOv2 (Oquab et al. 2023), with the features of its own repository and the images of dgm-eval (Stein et al. 2023).

The architecture is timm's, without code from a hub. Two things decide the numbers: how images are resized, and how the
position embedding, trained for 37 x 37 patches, is brought to 16 x 16. timm would resample it with antialiasing; the
authors' code does not, and offsets the scale by 0.1.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn
from torch.nn.functional import interpolate

from mmgan.scoring.frozen import FrozenExtractor, Prepare
from mmgan.scoring.resizing import PILLOW, RESIZINGS, name_with
from mmgan.scoring.timm_networks import timm_network

MODELS = {
    "dinov2-vit-s-14": "vit_small_patch14_dinov2.lvd142m",
    "dinov2-vit-b-14": "vit_base_patch14_dinov2.lvd142m",
    "dinov2-vit-l-14": "vit_large_patch14_dinov2.lvd142m",
    "dinov2-vit-g-14": "vit_giant_patch14_dinov2.lvd142m",
}
"""timm's name of each."""

SIZE = 224
PATCHES = SIZE // 14
OFFSET = 0.1

MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def dinov2_extractor(
    name: str, weights: Path | str, device: torch.device | str = "cpu", *, resize: str = PILLOW
) -> FrozenExtractor:
    """The class token after the last norm, at 224 pixels.

    Args:
        name: a key of `MODELS`.
        weights: a file as the authors publish it (dinov2_vits14_pretrain.pth), or timm's.
        device: where the network runs.
        resize: a key of `RESIZINGS`. Pillow's is dgm-eval's; TensorFlow 1's is torch-fidelity's, and the extractor's
            name then ends in -tf1.

    Raises:
        UserError: for weights of another network.
    """
    network: Any = timm_network(MODELS[name], weights)
    network.pos_embed = nn.Parameter(_resampled(network.pos_embed.detach()))
    network.patch_embed.img_size, network.patch_embed.grid_size = (SIZE, SIZE), (PATCHES, PATCHES)

    def forward(x: Float32[Tensor, "n 3 224 224"]) -> tuple[Tensor, None]:
        return network.forward_features(x)[:, 0], None  # (n, d)

    return FrozenExtractor(
        network,
        name_with(name, resize, PILLOW),
        prepare=_prepare(resize),
        forward=forward,
        layer="class token after the last norm",
        preprocessing=f"{SIZE} px, {RESIZINGS[resize].words}, mean {MEAN}, deviation {DEVIATION}",
        device=device,
    )


def _prepare(resize: str) -> Prepare:
    def prepare(images: UInt8[Tensor, "n 3 h w"]) -> Float32[Tensor, "n 3 224 224"]:
        x = RESIZINGS[resize].resize(images, SIZE).float()
        mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
        return (x / 255 - mean) / deviation

    return prepare


def _resampled(embedding: Float32[Tensor, "1 p d"]) -> Float32[Tensor, "1 q d"]:
    """The position embedding for 16 x 16 patches, the class token's left as it is."""
    token, patches = embedding[:, :1], embedding[:, 1:]
    side = int(patches.shape[1] ** 0.5)
    grid = patches.transpose(1, 2).reshape(1, -1, side, side)  # (1, d, side, side)
    scale = (PATCHES + OFFSET) / side
    grid = interpolate(grid, scale_factor=(scale, scale), mode="bicubic")  # (1, d, 16, 16)
    return torch.cat([token, grid.flatten(2).transpose(1, 2)], dim=1)  # (1, 1 + 256, d)
