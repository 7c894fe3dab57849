"""Classifiers against counts derived by hand and by-hand arithmetic."""

import subprocess
import sys

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

from mmgan.classifiers import MLP, PreActResNet, WideResNet, build_classifier
from mmgan.classifiers.preact import PreActBlock, PreActBottleneck
from mmgan.draws import global_stream
from mmgan.errors import UserError


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


# --- parameters ---------------------------------------------------------------------------------------------------


def basic(c: int, d: int) -> int:
    """BN, 3x3, BN, 3x3 without biases, and a 1x1 shortcut where the channels change."""
    return 2 * c + 9 * c * d + 2 * d + 9 * d * d + (c * d if c != d else 0)


def bottleneck(c: int, w: int) -> int:
    """BN, 1x1, BN, 3x3, BN, 1x1 to 4 w channels, and a 1x1 shortcut where the channels change."""
    return 2 * c + c * w + 2 * w + 9 * w * w + 2 * w + 4 * w * w + (4 * c * w if c != 4 * w else 0)


@pytest.mark.parametrize(("depth", "repeats"), [(18, (2, 2, 2, 2)), (34, (3, 4, 6, 3))])
def test_basic_preactresnets_have_their_parameters(depth: int, repeats: tuple[int, ...]) -> None:
    expected, c = 9 * 3 * 64, 64
    for w, n in zip((64, 128, 256, 512), repeats, strict=True):
        expected += basic(c, w) + (n - 1) * basic(w, w)
        c = w
    with torch.device("meta"):
        assert count(PreActResNet(depth)) == expected + 512 * 10 + 10
    if depth == 18:
        assert expected + 5130 == 11_171_146  # as published


@pytest.mark.parametrize(("depth", "repeats"), [(50, (3, 4, 6, 3)), (101, (3, 4, 23, 3)), (152, (3, 8, 36, 3))])
def test_bottleneck_preactresnets_have_their_parameters(depth: int, repeats: tuple[int, ...]) -> None:
    expected, c = 9 * 3 * 64, 64
    for w, n in zip((64, 128, 256, 512), repeats, strict=True):
        expected += bottleneck(c, w) + (n - 1) * bottleneck(4 * w, w)
        c = 4 * w
    with torch.device("meta"):
        assert count(PreActResNet(depth, num_classes=100)) == expected + 2048 * 100 + 100


@pytest.mark.parametrize("bias", [False, True])
def test_wide_resnet_28_10_has_its_parameters(bias: bool) -> None:
    expected, c = 9 * 3 * 16, 16
    for w in (160, 320, 640):
        expected += basic(c, w) + 3 * basic(w, w)
        c = w
    expected += 2 * 640 + 640 * 10 + 10
    assert expected == 36_479_194  # the 36.5 M of Table 5 there
    if bias:  # the stem, two convolutions in each of four blocks, and one shortcut a stage
        expected += 16 + (8 + 1) * (160 + 320 + 640)
    assert count(WideResNet(28, 10, bias=bias)) == expected


def test_mlp_has_its_parameters() -> None:
    widths = (1024, 1024, 2, 1024, 1024)  # Appendix B
    hidden = sum((a + 1) * b for a, b in zip((784, *widths), (*widths, 10), strict=True))
    assert count(MLP(784, 10, widths, bottleneck=3)) == hidden
    assert count(MLP(784, 10, widths, bottleneck=3, batch_norm=True)) == hidden + 2 * sum(widths)


# --- shapes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 28, 32, 48, 64])
@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize(
    "settings",
    [
        {"arch": "preactresnet", "width": 4},
        {"arch": "preactresnet", "depth": 50, "width": 2, "dropout": 0.5, "stem_stride": 2},
        {"arch": "wideresnet", "depth": 10, "widen_factor": 1, "dropout": 0.3},
        {"arch": "mlp", "widths": [8, 2, 8], "bottleneck": 2, "dropout": 0.5, "batch_norm": True, "input_noise": 0.1},
    ],
    ids=["preact18", "preact50", "wide", "mlp"],
)
def test_any_images_give_logits(settings: dict[str, object], channels: int, size: int) -> None:
    network = build_classifier(num_classes=7, channels=channels, image_size=size, **settings)
    assert network(torch.randn(3, channels, size, size)).shape == (3, 7)


def test_stages_halve_and_widen() -> None:
    network, shapes = PreActResNet(width=4), {}
    for name in ("1", "2", "3", "4", "features"):
        module = network.get_submodule(network.stages[name])
        module.register_forward_hook(lambda m, a, output, name=name: shapes.update({name: tuple(output.shape[1:])}))
    network(torch.randn(1, 3, 32, 32))
    assert shapes == {"1": (4, 32, 32), "2": (8, 16, 16), "3": (16, 8, 8), "4": (32, 4, 4), "features": (32,)}


def test_stem_stride_halves_at_once() -> None:
    network = WideResNet(10, 1, stem_stride=2)
    stage = nn.Sequential(network.stem, network.stage1)
    assert stage(torch.randn(2, 3, 64, 64)).shape == (2, 16, 32, 32)


@pytest.mark.parametrize(
    "network",
    [PreActResNet(width=4), WideResNet(10, 1), MLP(3 * 16 * 16, 10, (8, 4), batch_norm=True)],
    ids=["preact", "wide", "mlp"],
)
def test_features_are_what_the_linear_map_sees(network: nn.Module) -> None:
    network.eval()
    x = torch.randn(4, 3, 16, 16)
    seen: list[Tensor] = []
    handle = network.get_submodule(network.stages["features"]).register_forward_hook(lambda m, a, o: seen.append(o))
    logits = network(x)
    handle.remove()
    features = network.features(x)
    torch.testing.assert_close(features, seen[0])
    torch.testing.assert_close(features @ network.linear.weight.T + network.linear.bias, logits)


# --- arithmetic ---------------------------------------------------------------------------------------------------


def normalise(h: Tensor) -> Tensor:
    mean, var = h.mean((0, 2, 3), keepdim=True), h.var((0, 2, 3), correction=0, keepdim=True)
    return (h - mean) / (var + 1e-5) ** 0.5


def shift_sum(h: Tensor, layer: nn.Conv2d, stride: int = 1) -> Tensor:
    """A convolution without bias, written out as a sum over the offsets of its kernel."""
    k = layer.weight.shape[-1]
    n, c, height, width = h.shape
    padded = h.new_zeros(n, c, height + k - 1, width + k - 1)
    padded[:, :, k // 2 : k // 2 + height, k // 2 : k // 2 + width] = h
    total = h.new_zeros(())
    for i in range(k):
        for j in range(k):
            moved = padded[:, :, i : i + height : stride, j : j + width : stride]
            total = total + torch.einsum("nchw,dc->ndhw", moved, layer.weight[:, :, i, j])
    return total


@pytest.mark.parametrize(("out_channels", "stride"), [(4, 1), (6, 1), (6, 2)])
def test_basic_block_by_hand(out_channels: int, stride: int) -> None:
    with global_stream(0, "weights"):
        block = PreActBlock(4, out_channels, stride, dropout=0.0, bias=False).double()
        x = torch.randn(3, 4, 6, 6, dtype=torch.float64)
    a = normalise(x).clamp(min=0)
    h = shift_sum(normalise(shift_sum(a, block.conv1, stride)).clamp(min=0), block.conv2)
    shortcut = x if (out_channels, stride) == (4, 1) else shift_sum(a, block.shortcut, stride)
    torch.testing.assert_close(block(x), h + shortcut)


@pytest.mark.parametrize(("in_channels", "stride"), [(8, 1), (4, 1), (8, 2)])
def test_bottleneck_by_hand(in_channels: int, stride: int) -> None:
    with global_stream(0, "weights"):
        block = PreActBottleneck(in_channels, 2, stride, dropout=0.0).double()
        x = torch.randn(3, in_channels, 6, 6, dtype=torch.float64)
    a = normalise(x).clamp(min=0)
    h = shift_sum(normalise(shift_sum(a, block.conv1)).clamp(min=0), block.conv2, stride)
    h = shift_sum(normalise(h).clamp(min=0), block.conv3)
    shortcut = x if (in_channels, stride) == (8, 1) else shift_sum(a, block.shortcut, stride)
    torch.testing.assert_close(block(x), h + shortcut)


def test_preactresnet_pools_its_last_stage_as_it_is() -> None:
    network = PreActResNet(width=2).eval()
    seen: list[Tensor] = []
    network.stage4.register_forward_hook(lambda m, a, o: seen.append(o))
    features = network.features(torch.randn(2, 3, 32, 32))
    torch.testing.assert_close(features, seen[0].mean((2, 3)))


def test_mlp_by_hand() -> None:
    network = MLP(6, 3, (5, 2, 4), bottleneck=2, dropout=0.5, input_noise=0.3).double().eval()
    x = torch.randn(7, 2, 3, dtype=torch.float64)

    def affine(h: Tensor, layer: nn.Linear) -> Tensor:
        return (h[:, None] * layer.weight).sum(-1) + layer.bias

    def leaky(h: Tensor) -> Tensor:
        return torch.where(h > 0, h, h / 100)

    h = leaky(affine(x.reshape(7, 6), network.layer1[0]))
    h = leaky(affine(affine(h, network.layer2[0]), network.layer3[0]))  # no nonlinearity at the bottleneck
    torch.testing.assert_close(network(x), affine(h, network.linear))


def test_dropout_drops_half_but_spares_the_bottleneck() -> None:
    network = MLP(4, 2, (400, 400, 400), bottleneck=2, dropout=0.5)
    dropped = {}
    for i in (1, 2, 3):
        layer = network.get_submodule(f"layer{i}")
        layer.register_forward_hook(lambda m, a, o, i=i: dropped.update({i: float((o == 0).float().mean())}))
    with global_stream(0, "dropout"):
        network(torch.randn(50, 4))
    assert dropped == {1: pytest.approx(0.5, abs=0.02), 2: 0, 3: pytest.approx(0.5, abs=0.02)}


@pytest.mark.parametrize("make", [lambda p: PreActResNet(width=8, dropout=p), lambda p: WideResNet(10, 1, dropout=p)])
def test_dropout_acts_in_training_mode_alone(make: object) -> None:
    network = make(0.5)
    x = torch.randn(2, 3, 16, 16)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))
    without = make(0.0)
    assert torch.equal(without(x), without(x))


def test_input_noise_has_its_deviation_and_follows_the_global_stream() -> None:
    network = MLP(1000, 2, (3,), input_noise=0.3)
    x = torch.ones(100, 1000)
    with global_stream(0, "noise"):
        noisy = network.noise(x)
    with global_stream(0, "noise"):
        assert torch.equal(network.noise(x), noisy)
    assert float((noisy - x).std()) == pytest.approx(0.3, rel=0.01)
    assert torch.equal(x, torch.ones(100, 1000))
    assert network.eval().noise(x) is x


def test_wide_resnet_starts_with_he_normal_weights() -> None:
    with global_stream(0, "weights"):
        network = WideResNet(10, 2, bias=True)
    layer = network.stage3[0].conv1
    assert float(layer.weight.detach().var()) == pytest.approx(2 / (9 * 128), rel=0.02)
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert all(m.bias is not None and not m.bias.any() for m in convs)


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arch": "vgg"}, "'vgg' is unknown: choose preactresnet, wideresnet or mlp"),
        ({"arch": "preactresnet", "depth": 20}, "no PreActResNet of depth 20"),
        ({"arch": "preactresnet", "widen_factor": 2}, "widen_factor is not a setting of preactresnet"),
        ({"arch": "preactresnet", "width": 0}, "width is 0"),
        ({"arch": "preactresnet", "num_classes": 0}, "num_classes is 0"),
        ({"arch": "preactresnet", "image_size": 4}, "at least 8 pixels"),
        ({"arch": "wideresnet", "depth": 27}, "no WideResNet of depth 27"),
        ({"arch": "wideresnet", "width": 64}, "width is not a setting of wideresnet"),
        ({"arch": "mlp"}, "widths is empty"),
        ({"arch": "mlp", "widths": [4, 0]}, "narrowest_width is 0"),
        ({"arch": "mlp", "widths": [4], "bottleneck": 2}, "bottleneck 2 is not a hidden layer"),
        ({"arch": "mlp", "widths": [4], "input_noise": -0.1}, "input_noise is -0.1"),
        ({"arch": "mlp", "widths": [4], "bias": True}, "bias is not a setting of mlp"),
    ],
)
def test_builder_refuses(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_classifier(**({"num_classes": 10, "channels": 3, "image_size": 32} | settings))


@pytest.mark.parametrize("network", [PreActResNet(width=2), WideResNet(10, 1), MLP(768, 10, (4,))])
@pytest.mark.parametrize(
    "x",
    [torch.zeros(2, 1, 16, 16), torch.zeros(3, 16, 15), torch.zeros(2, 3, 16, 16, dtype=torch.uint8)],
    ids=["channels", "shape", "uint8"],
)
def test_forward_refuses_other_input(network: nn.Module, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(UserError, match="this classifier was built for float"):
        network(x)


STRIDED = """
import torch
from mmgan.classifiers.staged import conv

shortcut = conv(8, 16, 1, stride=2).to(memory_format=torch.channels_last)
x = torch.ones(32, 8, 64, 64).to(memory_format=torch.channels_last)
for _ in range(40):
    shortcut(x).sum().backward()
"""


@pytest.mark.slow(2)
def test_narrow_strided_shortcuts_leave_the_heap_whole() -> None:
    run = subprocess.run([sys.executable, "-c", STRIDED], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr  # a plain nn.Conv2d dies of a signal here with oneDNN 3.13
