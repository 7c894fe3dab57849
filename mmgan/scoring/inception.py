"""The FID Inception: torch-fidelity's InceptionV3 with the weights that FID, KID and IS are published for."""

import hashlib
import pickle
from pathlib import Path
from urllib.parse import urlparse

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from mmgan.draws import global_stream
from mmgan.errors import UserError
from mmgan.scoring.extractors import Features, finite, state_digest, with_grey_or_rgb

WEIGHTS_NAME = Path(urlparse(URL_INCEPTION_V3).path).name
"""The file that torch-fidelity downloads; the word before .pth begins its sha256."""

FLAG = "--inception-weights FILE"


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
    prefix = cached.stem.rsplit("-", 1)[-1]
    if cached.is_file():
        with cached.open("rb") as file:
            if not hashlib.file_digest(file, "sha256").hexdigest().startswith(prefix):
                raise UserError(f"the cached Inception weights '{cached}' are damaged: delete the file or give {FLAG}")
        return cached
    if not download:
        raise UserError(f"no Inception weights in '{cached}': give {FLAG} or add --download")
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(URL_INCEPTION_V3, str(cached), hash_prefix=prefix, progress=False)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"no Inception weights: '{cached}' is absent and {URL_INCEPTION_V3} could not be downloaded"
            f" ({' '.join(str(error).split())}): give {FLAG}"
        ) from error
    return cached


class InceptionExtractor:
    """2048 pooled features and the 1008 logits without bias, in one pass (torch-fidelity's "2048", "logits_unbiased").

    Args:
        weights: from `find_inception_weights`.
        device: where the network runs.
        channels_last: about twice as fast on CPUs; features agree to about 5e-7 with the contiguous layout, which gives
            the very numbers of torch-fidelity's command.

    Raises:
        UserError: if the file does not hold these weights.
    """

    name = "inception"
    dims = 2048
    num_classes = 1008
    preprocessing = "inception-1"  # raise this number whenever the images are prepared in another way

    def __init__(self, weights: Path | str, device: torch.device | str = "cpu", *, channels_last: bool = True) -> None:
        self.device = torch.device(device)
        self._network = _load(Path(weights))
        self.digest = state_digest(self._network)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self._network.to(device=self.device, memory_format=layout)
        self.fingerprint = f"{self.preprocessing} {self.digest} {layout} {self.device.type}"

    def __call__(self, images: UInt8[Tensor, "n c h w"]) -> Features:
        """Features of n images in [0, 255], grey or RGB, of any size; resized to 299 as TensorFlow 1 does."""
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            features, logits = self._network(with_grey_or_rgb(images, 3).to(self.device))  # (n, 2048), (n, 1008)
        return finite(self.name, features, logits)


def _load(weights: Path) -> FeatureExtractorInceptionV3:
    wrong = f"'{weights}' does not hold the FID Inception's weights: give {FLAG}, {WEIGHTS_NAME} as downloaded"
    try:
        # Read as plain tensors first: torch-fidelity itself would run whatever code a pickle holds.
        torch.load(weights, map_location="cpu", weights_only=True)
        with global_stream(0, "inception"):  # its initialisation draws numbers before the weights replace them
            return FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], str(weights))
    except (RuntimeError, OSError, EOFError, KeyError, TypeError, AttributeError, pickle.UnpicklingError) as error:
        raise UserError(wrong) from error
