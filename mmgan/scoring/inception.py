"""The FID Inception: torch-fidelity's InceptionV3 with the weights that FID, KID and IS are published for."""

import copy
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mmgan.digests import file_digest
from mmgan.draws import global_stream
from mmgan.errors import UserError
from mmgan.scoring.extractors import Features, finite, state_digest, with_grey_or_rgb
from mmgan.scoring.resizing import RESIZINGS, TF1, name_with, resize_like_tensorflow1
from mmgan.scoring.scores import INCEPTION
from mmgan.scoring.weights import FLAG, reading_weights

if TYPE_CHECKING:  # torch-fidelity takes three seconds to import: each function that needs it does so
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

WEIGHTS_NAME = "weights-inception-2015-12-05-6726825d.pth"
"""The file that torch-fidelity downloads; the word before .pth begins its sha256."""

CPU_ROWS = 16
"""Images a forward on a CPU: more of them do not fit its caches between one layer and the next."""


def find_inception_weights(path: Path | str | None = None, *, download: bool = True) -> Path:
    """The weights file to use: the given one, else the one in torch-fidelity's cache, else a download into that cache.

    To be called before any training or data work, so that a missing file costs nobody a run.

    Args:
        path: a file of the user's own; its content is checked when `InceptionExtractor` loads it.
        download: fetch the file (about 95 MB) where the cache lacks it.

    Raises:
        UserError: if there is no such file, the cached one is damaged, or the download fails.
    """
    if path is not None:
        if not Path(path).is_file():
            raise UserError(f"the Inception weights '{path}' are not a file: give {FLAG}, {WEIGHTS_NAME} as downloaded")
        return Path(path)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS_NAME
    if cached.is_file():
        if not _is_published(cached):
            raise UserError(f"the cached Inception weights '{cached}' are damaged: delete the file or give {FLAG}")
        return cached
    if not download:
        raise UserError(f"no Inception weights in '{cached}': give {FLAG} or add --download")
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(URL_INCEPTION_V3, str(cached), hash_prefix=_published_digest(), progress=False)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"no Inception weights: '{cached}' is absent and {URL_INCEPTION_V3} could not be downloaded"
            f" ({' '.join(str(error).split())}): give {FLAG}"
        ) from error
    return cached


def _published_digest() -> str:
    return Path(WEIGHTS_NAME).stem.rsplit("-", 1)[-1]


def _is_published(weights: Path) -> bool:
    return file_digest(weights).startswith(_published_digest())


class InceptionExtractor:
    """2048 pooled features and the 1008 logits without bias, in one pass (torch-fidelity's "2048", "logits_unbiased").

    Args:
        weights: from `find_inception_weights`. With any other file than the published one the extractor is called
            "inception-other-weights", and its scores are no FID.
        device: where the network runs.
        resize: a key of `RESIZINGS`. With another than TensorFlow 1's the name ends in it, and scores are no FID.
        fast: the same arithmetic in another order (`FoldedInception`), in half the time on CPUs; features agree to
            about 1e-6 of the largest with torch-fidelity's unchanged network, which gives exactly the numbers of its
            command.

    Raises:
        UserError: if the file does not hold these weights.
    """

    dims = 2048
    num_classes = 1008
    layer = "2048 pooled features, logits without bias"
    version = "inception-2"  # raise this number whenever the images are prepared in another way

    def __init__(
        self, weights: Path | str, device: torch.device | str = "cpu", *, fast: bool = True, resize: str = TF1
    ) -> None:
        self.device = torch.device(device)
        self._resize = resize
        self.preprocessing = f"299 px, {RESIZINGS[resize].words}"
        fast = fast or resize != TF1  # the network as it stands resizes itself
        network = _load(Path(weights))
        name = INCEPTION if _is_published(Path(weights)) else f"{INCEPTION}-other-weights"
        self.name = name_with(name, resize, TF1)
        self.digest = state_digest(network)
        self._network = (FoldedInception(network) if fast else network).to(self.device)
        self._rows = CPU_ROWS if fast and self.device.type == "cpu" else None
        self.fingerprint = f"{self.version} {self.digest} {'folded' if fast else 'plain'} {self.device.type}"
        if resize != TF1:
            self.fingerprint += f" {resize}"

    def __call__(self, images: UInt8[Tensor, "n c h w"]) -> Features:
        """Features of n images in [0, 255], grey or RGB, of any size."""
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            x = with_grey_or_rgb(images, 3)
            if self._resize != TF1:
                x = RESIZINGS[self._resize].resize(x, 299).float()  # (n, 3, 299, 299)
            x = x.to(self.device)
            parts = [self._network(rows) for rows in torch.split(x, self._rows or len(x))]
            features, logits = map(torch.cat, zip(*parts, strict=True))  # (n, 2048), (n, 1008)
        return finite(self.name, features, logits)


class FoldedInception(nn.Module):
    """torch-fidelity's network for inference: every BatchNorm folded into its convolution, channels last throughout.

    Args:
        network: in eval mode; it is copied.
    """

    def __init__(self, network: "FeatureExtractorInceptionV3") -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d

        super().__init__()
        network = copy.deepcopy(network)
        for name, module in list(network.named_modules()):
            if isinstance(module, BasicConv2d):
                folded = nn.Sequential(fuse_conv_bn_eval(module.conv, module.bn), nn.ReLU(inplace=True))
                network.set_submodule(name, folded)
        *stages, fc = network.children()  # registered in the order in which they run
        self.size: int = network.INPUT_IMAGE_SIZE
        self.stages = nn.Sequential(*stages)
        self.stages.to(memory_format=torch.channels_last)
        self.fc = fc

    def forward(
        self, images: UInt8[Tensor, "n 3 h w"] | Float32[Tensor, "n 3 s s"]
    ) -> tuple[Float32[Tensor, "n 2048"], Float32[Tensor, "n 1008"]]:
        """Pooled features, and the logits without bias; floating-point images have the network's size already."""
        x = images.clone() if images.is_floating_point() else resize_like_tensorflow1(images, self.size)
        x = x.sub_(128).div_(128)  # (n, 3, 299, 299)
        features = self.stages(x).flatten(1)  # (n, 2048)
        return features, features @ self.fc.weight.T


def _load(weights: Path) -> "FeatureExtractorInceptionV3":
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    wrong = f"'{weights}' does not hold the FID Inception's weights: give {FLAG}, {WEIGHTS_NAME} as downloaded"
    with reading_weights(wrong):
        # Read as plain tensors first: torch-fidelity itself would run whatever code a pickle holds.
        torch.load(weights, map_location="cpu", weights_only=True)
        with global_stream(0, "inception"):  # its initialisation draws numbers before the weights replace them
            return FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], str(weights))
