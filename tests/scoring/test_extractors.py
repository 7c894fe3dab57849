import pytest
import torch
from torch import nn

from mmgan.errors import UserError
from mmgan.scoring import NetworkExtractor, state_digest
from tests.support.scoring_images import smooth_images, tiny_classifier, tiny_extractor


def test_features_and_logits_are_the_networks_own() -> None:
    network = tiny_classifier().eval()
    images = smooth_images(5, 0)
    found = tiny_extractor()(images)
    x = images.float() / 127.5 - 1
    with torch.no_grad():
        torch.testing.assert_close(found.features, network[:4](x))
        torch.testing.assert_close(found.logits, network(x))
    assert (found.features.shape[1], found.logits.shape[1]) == (tiny_extractor().dims, tiny_extractor().num_classes)


def test_maps_are_averaged_over_positions() -> None:
    network = tiny_classifier()
    images = smooth_images(5, 0)
    maps = NetworkExtractor(network, "tiny", "1", image_size=8, channels=3)(images)
    torch.testing.assert_close(maps.features, tiny_extractor()(images).features)


def test_rows_do_not_see_each_other_and_the_network_is_left_alone() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3))
    extractor = NetworkExtractor(network.train(), "bn", "3", image_size=8, channels=1)
    images = smooth_images(6, 0, channels=1)
    together = extractor(images).features
    torch.testing.assert_close(torch.cat([extractor(image[None]).features for image in images]), together)
    assert all(part.training for part in network.modules())
    assert all(p.requires_grad for p in network.parameters())
    assert network[1].num_batches_tracked == 0
    assert not any(part._forward_hooks for part in network.modules())
    with torch.no_grad():
        network[0].weight.zero_()  # later training of the caller's network
    assert torch.equal(extractor(images).features, together)


def test_grey_images_are_rgb_images_of_equal_channels() -> None:
    grey = smooth_images(4, 0, channels=1)
    rgb = grey.expand(-1, 3, -1, -1)
    colour, single = tiny_extractor(), tiny_extractor(channels=1)
    torch.testing.assert_close(colour(grey).features, colour(rgb).features)
    torch.testing.assert_close(single(rgb).features, single(grey).features)
    red = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    red[:, 0] = 255
    torch.testing.assert_close(
        single(red).features, single(torch.full((1, 1, 8, 8), 76, dtype=torch.uint8)).features, atol=2e-3, rtol=0
    )


def test_other_sizes_are_resized() -> None:
    flat = torch.full((1, 3, 20, 14), 77, dtype=torch.uint8)
    expected = tiny_extractor()(torch.full((1, 3, 8, 8), 77, dtype=torch.uint8))
    torch.testing.assert_close(tiny_extractor()(flat).features, expected.features)


def test_two_and_four_channels_are_refused() -> None:
    for channels in (2, 4):
        with pytest.raises(UserError, match=f"{channels} channels"):
            tiny_extractor()(torch.zeros(1, channels, 8, 8, dtype=torch.uint8))


def test_digest_follows_the_weights_and_fingerprint_the_preprocessing() -> None:
    first, same, other = tiny_extractor(0), tiny_extractor(0), tiny_extractor(1)
    assert first.digest == same.digest == state_digest(tiny_classifier(0))
    assert first.digest != other.digest
    assert first.fingerprint == same.fingerprint
    resized = NetworkExtractor(tiny_classifier(0), "tiny", "3", image_size=9, channels=3)
    tapped = NetworkExtractor(tiny_classifier(0), "tiny", "1", image_size=8, channels=3)
    prints = {x.fingerprint for x in (first, other, resized, tapped)}
    assert len(prints) == 4
    assert resized.digest == first.digest


def test_digest_sees_buffers_names_and_shapes() -> None:
    def with_state(**state: torch.Tensor) -> nn.Module:
        module = nn.Module()
        for name, value in state.items():
            module.register_buffer(name, value)
        return module

    a, b = torch.arange(4.0), torch.arange(4.0) + 1
    states = [
        {"a": a},
        {"a": b},
        {"b": a},
        {"a": a.view(2, 2)},
        {"a": a.double()},
        {"a": a.view(torch.int32)},
        {"a": a, "b": b},
        {"a": torch.tensor(1.0)},
    ]
    assert len({state_digest(with_state(**state)) for state in states}) == len(states)


def test_bad_networks_are_refused() -> None:
    with pytest.raises(UserError, match="no submodule 'pool'"):
        NetworkExtractor(tiny_classifier(), "tiny", "pool", image_size=8, channels=3)
    with pytest.raises(UserError, match="2 channels"):
        NetworkExtractor(tiny_classifier(), "tiny", "3", image_size=8, channels=2)
    with pytest.raises(UserError, match="yield"):
        NetworkExtractor(tiny_classifier()[:1], "tiny", "0", image_size=8, channels=3)
    network = tiny_classifier()
    with torch.no_grad():
        network[0].bias[0] = float("nan")
    with pytest.raises(UserError, match="weights are damaged"):
        NetworkExtractor(network, "tiny", "3", image_size=8, channels=3)
