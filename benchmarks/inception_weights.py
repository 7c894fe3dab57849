"""A file of random Inception weights of the right form: what its arithmetic costs does not depend on their values."""

from pathlib import Path
from unittest import mock

import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from mmgan.draws import global_stream


def write_random_weights(path: Path) -> Path:
    """A state dict that torch-fidelity takes for the FID Inception's; no download."""
    download = "torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url"
    with (
        global_stream(0, "inception-weights"),
        mock.patch(download),
        mock.patch.object(FeatureExtractorInceptionV3, "load_state_dict"),
    ):
        network = FeatureExtractorInceptionV3("random", ["2048", "logits_unbiased"])
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)  # with the default one features vanish in the depth
    torch.save(network.state_dict(), path)
    return path
