"""A frozen network with its own way to prepare images, as an extractor."""

from collections.abc import Callable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from mmgan.scoring.extractors import Features, finite, state_digest, with_grey_or_rgb

Prepare = Callable[[UInt8[Tensor, "n 3 h w"]], Tensor]
"""Images as the network takes them."""

Forward = Callable[[Tensor], tuple[Float[Tensor, "n d"], Float[Tensor, "n k"] | None]]
"""Prepared images -> features, and logits where the network has classes."""


CPU_ROWS = 8
"""Images a forward on a CPU: more of them do not fit its caches between one layer and the next."""

VERSION = "frozen-2"  # raise this number whenever the arithmetic changes, if only its order


class FrozenExtractor:
    """Features of a published network, and its logits where it has classes.

    Args:
        network: kept in evaluation mode; not copied.
        name: shown with every score.
        prepare: RGB images on the CPU -> the network's input.
        forward: runs the network.
        layer: where the features are taken, in words.
        preprocessing: what `prepare` does, in words. They decide which cached features fit: change them whenever the
            numbers change.
        device: where the network runs.
    """

    def __init__(
        self,
        network: nn.Module,
        name: str,
        *,
        prepare: Prepare,
        forward: Forward,
        layer: str,
        preprocessing: str,
        device: torch.device | str = "cpu",
    ) -> None:
        self.name = name
        self.layer = layer
        self.preprocessing = preprocessing
        self.device = torch.device(device)
        self.digest = state_digest(network)
        network.to(self.device).eval().requires_grad_(False)
        self._prepare, self._forward = prepare, forward
        self._rows = CPU_ROWS if self.device.type == "cpu" else None
        self.fingerprint = f"{VERSION} {name} {self.digest} {layer} {preprocessing} {self.device.type}"
        probe = self(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
        self.dims = probe.features.shape[1]
        self.num_classes = probe.logits.shape[1]

    def __call__(self, images: UInt8[Tensor, "n c h w"]) -> Features:
        """Features of n images in [0, 255], grey or RGB, of any size."""
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            x = self._prepare(with_grey_or_rgb(images, 3)).to(self.device)
            parts = [self._forward(rows) for rows in torch.split(x, self._rows or len(x))]
            features = torch.cat([part for part, _ in parts])  # (n, d)
            logits = [part.new_empty(len(part), 0) if own is None else own for part, own in parts]
            return finite(self.name, features, torch.cat(logits))
