"""Any model of timm as an extractor: its pooled features and its logits, prepared with its own evaluation transform."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from mmgan.draws import global_stream
from mmgan.errors import UserError
from mmgan.scoring.frozen import FrozenExtractor
from mmgan.scoring.resizing import pictures
from mmgan.scoring.weights import FLAG, import_timm


def timm_network(model: str, weights: Path | str, **options: Any) -> nn.Module:
    """A model with the weights of a file, which timm converts from the formats that it knows.

    Raises:
        UserError: if the file holds the weights of another network, or no weights.
    """
    timm = import_timm()
    try:
        with global_stream(0, "timm"):  # its initialisation draws numbers before the weights replace them
            source = {"file": str(weights), "custom_load": False}
            network: nn.Module = timm.create_model(model, pretrained=True, pretrained_cfg_overlay=source, **options)
    except Exception as error:  # timm and pickle raise whatever a foreign file makes them
        why = " ".join(str(error).split())[:200]
        raise UserError(f"'{weights}' does not hold weights of timm's '{model}' ({why}): give {FLAG}") from error
    return network


def timm_extractor(model: str, weights: Path | str, device: torch.device | str = "cpu") -> FrozenExtractor:
    """The extractor `timm:MODEL`.

    Raises:
        UserError: for weights of another network, or a model that takes other than RGB images.
    """
    data = import_timm().data
    network: Any = timm_network(model, weights)
    config = data.resolve_model_data_config(network)
    if config["input_size"][0] != 3:
        raise UserError(f"timm's '{model}' takes {config['input_size'][0]} channels: choose a model of RGB images")
    transform = data.create_transform(**config, is_training=False)
    network.to(memory_format=torch.channels_last)  # convolutions of few channels a group take half the time

    def prepare(images: UInt8[Tensor, "n 3 h w"]) -> Float32[Tensor, "n 3 s t"]:
        # One picture at a time: timm resizes with Pillow, whose grey levels torch does not give.
        x = torch.stack([transform(picture) for picture in pictures(images)])  # (n, 3, s, t)
        return x.contiguous(memory_format=torch.channels_last)

    def forward(x: Float32[Tensor, "n 3 s t"]) -> tuple[Tensor, Tensor | None]:
        maps = network.forward_features(x)
        features = network.forward_head(maps, pre_logits=True)  # (n, d)
        return features, network.forward_head(maps) if network.num_classes else None

    size, share = config["input_size"][-1], config["crop_pct"]
    return FrozenExtractor(
        network,
        f"timm:{model}",
        prepare=prepare,
        forward=forward,
        layer="pooled features before the classifier",
        preprocessing=f"timm's own: {config['crop_mode']} crop of {share:g} at {size} px, Pillow's"
        f" {config['interpolation']}, mean {config['mean']}, deviation {config['std']}",
        device=device,
    )
