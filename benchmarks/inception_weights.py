"""Random Inception weights in the right file format. The cost of Inception's arithmetic does not depend on them."""

from pathlib import Path
from unittest import mock

import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from mmgan.draws import global_stream


def write_random_weights(path: Path) -> Path:
    """Write a state dict that torch-fidelity loads as the FID Inception's, without a download."""
    download = "torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url"
    with (
        global_stream(0, "inception-weights"),
        mock.patch(download),
        mock.patch.object(FeatureExtractorInceptionV3, "load_state_dict"),
    ):
        network = FeatureExtractorInceptionV3("random", ["2048", "logits_unbiased"])
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)  # with the default initialisation the features vanish with depth
    torch.save(network.state_dict(), path)
    return path
