"""A file of random Inception weights, which runs the whole real path without a network."""

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


@pytest.fixture(scope="session")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "random-inception.pth"
    source = "torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url"
    with torch.random.fork_rng(), mock.patch(source), mock.patch.object(FeatureExtractorInceptionV3, "load_state_dict"):
        torch.manual_seed(0)
        network = FeatureExtractorInceptionV3("random", ["2048", "logits_unbiased"])
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)  # with the default one features vanish in the depth
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def rng_untouched() -> Iterator[None]:
    before = torch.random.get_rng_state()
    yield
    assert torch.equal(torch.random.get_rng_state(), before)
