"""What every feature extractor gives, and the one for any classifier.

A score is meaningless without the name of its extractor: an FID on a digits classifier's features is not an
Inception FID. Nothing here knows a trainer.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from mmgan.data import to_float
from mmgan.data.pixels import with_channels
from mmgan.digests import tensors_digest
from mmgan.errors import UserError


@dataclass(frozen=True, eq=False)
class Features:
    """What one pass through an extractor yields for n images: both on the CPU, finite.

    Attributes:
        features: (n, d), for FID, KID, precision and recall.
        logits: (n, k) class scores before the softmax, for IS.
    """

    features: Float32[Tensor, "n d"]
    logits: Float32[Tensor, "n k"]

    def __len__(self) -> int:
        """n, the number of images."""
        return len(self.features)


class Extractor(Protocol):
    """A frozen network that judges images; rows do not see each other.

    Attributes:
        name: "inception", "classifier:digits"; shown with every score.
        digest: sha256 of its weights, in hexadecimal; shown with every score.
        layer: where the features are taken, in words.
        preprocessing: how images are prepared, in words.
        fingerprint: names everything the features depend on except the images: weights, preprocessing, kind of device.
            Cached features are found by it.
        dims: d, the number of features.
        num_classes: k, the number of logits; 0 for a network without classes, which gives no class score.
    """

    name: str
    digest: str
    layer: str
    preprocessing: str
    fingerprint: str
    dims: int
    num_classes: int

    def __call__(self, images: UInt8[Tensor, "n c h w"]) -> Features:
        """Features of n images in [0, 255], grey (c = 1) or RGB (c = 3), on any device."""
        ...


def state_digest(module: nn.Module) -> str:
    """sha256 over names, types, shapes and bytes of a module's parameters and buffers, whatever file they came from."""
    return tensors_digest(module.state_dict())


def with_grey_or_rgb(images: UInt8[Tensor, "n c h w"], channels: int) -> UInt8[Tensor, "n d h w"]:
    """Grey or RGB images, on the CPU, with one channel or three.

    Raises:
        UserError: for images of any other number of channels.
    """
    if images.shape[1] not in (1, 3):
        raise UserError(f"images with {images.shape[1]} channels cannot be scored: give grey (1) or RGB (3) images")
    return with_channels(images.cpu(), channels)  # (n, channels, h, w)


class NetworkExtractor:
    """Any image classifier as an extractor, such as this project's own for digits and Fashion-MNIST.

    Images are converted as this project's data are: to the network's channels, to its size (bilinear, antialiased), to
    [-1, 1].
    The network is copied, so that its mode and later training do not touch the scores.

    Args:
        network: takes (n, channels, image_size, image_size) in [-1, 1] and returns (n, k) logits.
        name: shown with every score.
        tap: dotted name of the submodule whose output is the feature vector, usually the one before the last linear
            layer. Maps (n, d, h, w) are averaged over their positions.
        image_size: pixels a side.
        channels: 1 or 3.
        device: where the network runs.

    Raises:
        UserError: if the network has no such submodule, or does not yield (n, k) logits there.
    """

    version = "network-1"  # raise this number whenever `_prepare` or the tap changes the features

    def __init__(
        self,
        network: nn.Module,
        name: str,
        tap: str,
        image_size: int,
        channels: int,
        device: torch.device | str = "cpu",
    ) -> None:
        if tap not in dict(network.named_modules()):
            raise UserError(f"the extractor '{name}' has no submodule '{tap}' to take features from")
        if channels not in (1, 3):
            raise UserError(f"the extractor '{name}' takes {channels} channels: extractors take 1 (grey) or 3 (RGB)")
        self.name = name
        self.image_size = image_size
        self.channels = channels
        self.layer = tap
        self.preprocessing = f"{image_size} px, antialiased bilinear, {'grey' if channels == 1 else 'RGB'} in [-1, 1]"
        self.device = torch.device(device)
        self.digest = state_digest(network)
        self._network = copy.deepcopy(network).to(self.device).eval().requires_grad_(False)
        self._tapped: list[Tensor] = []
        self._network.get_submodule(tap).register_forward_hook(_keep_in(self._tapped))
        probe = self(torch.zeros(1, channels, image_size, image_size, dtype=torch.uint8))
        self.dims = probe.features.shape[1]
        self.num_classes = probe.logits.shape[1]
        self.fingerprint = f"{self.version} {self.digest} {tap} {image_size}px {channels}ch {self.device.type}"

    def __call__(self, images: UInt8[Tensor, "n c h w"]) -> Features:
        """Features of n images in [0, 255], grey or RGB, of any size."""
        device = self.device.type
        with torch.inference_mode(), torch.autocast(device, enabled=False):
            self._tapped.clear()
            logits = self._network(self._prepare(images).to(self.device))  # (n, k)
            if len(self._tapped) != 1 or logits.dim() != 2:
                raise UserError(f"the extractor '{self.name}' must run its tap once and yield (n, classes) logits")
            h = self._tapped.pop()
            features = h.mean((2, 3)) if h.dim() == 4 else h.flatten(1)  # (n, d)
        return finite(self.name, features, logits)

    def _prepare(self, images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n channels s s"]:
        x = with_grey_or_rgb(images, self.channels)  # (n, channels, h, w)
        if x.shape[-2:] != (self.image_size, self.image_size):
            from torchvision.transforms.v2.functional import resize  # imported where used: it takes two seconds

            x = resize(x, [self.image_size, self.image_size], antialias=True)  # (n, channels, s, s)
        return to_float(x)


def _keep_in(kept: list[Tensor]) -> Callable[[nn.Module, Any, Tensor], None]:
    def keep(module: nn.Module, args: Any, output: Tensor) -> None:
        kept.append(output)

    return keep


def finite(name: str, features: Float[Tensor, "n d"], logits: Float[Tensor, "n k"]) -> Features:
    """`Features` on the CPU in float32, refused unless all values are finite.

    Raises:
        UserError: if the extractor yields NaN or infinity, which uint8 images cannot cause: its weights are damaged.
    """
    if not (features.isfinite().all() and logits.isfinite().all()):
        raise UserError(f"the extractor '{name}' yields non-finite features: its weights are damaged, use a sound copy")
    return Features(features.float().cpu(), logits.float().cpu())
