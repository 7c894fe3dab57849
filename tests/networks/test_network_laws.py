"""Laws of every network: taps are real and fire once, nothing is changed in place, gradients reach all weights."""

import copy
from collections import Counter

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

from mmgan.classifiers import MLP, PreActResNet, WideResNet
from mmgan.discriminators import build_discriminator
from mmgan.draws import global_stream
from mmgan.generators import build_generator

IMAGES = {
    "d-resnet-16": lambda: build_discriminator("resnet", 16, 3, width=4),
    "d-resnet-32": lambda: build_discriminator("resnet", 32, 3, width=4),
    "d-resnet-48": lambda: build_discriminator("resnet", 48, 3, width=2),
    "d-resnet-64": lambda: build_discriminator("resnet", 64, 3, width=2),
    "d-resnet-128": lambda: build_discriminator("resnet", 128, 3, width=1),
    "d-resnet-released": lambda: build_discriminator("resnet", 32, 3, 4, "mean", "partial", "all"),
    "d-dcgan-16": lambda: build_discriminator("dcgan", 16, 3, width=4),
    "d-dcgan-48": lambda: build_discriminator("dcgan", 48, 3, width=4),
    "preact18": lambda: PreActResNet(18, width=4),
    "preact50": lambda: PreActResNet(50, width=2, dropout=0.2),
    "wide": lambda: WideResNet(10, 1, dropout=0.2, bias=True),
    "mlp": lambda: MLP(768, 10, (16, 2, 16), bottleneck=2, dropout=0.2, batch_norm=True, input_noise=0.1),
}
LATENTS = {
    "g-resnet-32": lambda: build_generator("resnet", 32, width=4, latent_dim=6),
    "g-resnet-48": lambda: build_generator("resnet", 48, width=2, latent_dim=6),
    "g-resnet-released": lambda: build_generator("resnet", 32, 3, 4, 6, "nearest"),
    "g-dcgan-32": lambda: build_generator("dcgan", 32, width=4, latent_dim=6),
}
STAGES = {"d-resnet-48": 5, "d-resnet-64": 5, "d-resnet-128": 6, "wide": 3, "mlp": 3}


def make(name: str) -> tuple[nn.Module, Tensor]:
    """The network, in float64 so that comparisons are sharp, and an input for it."""
    with global_stream(0, "test"):
        network = (IMAGES | LATENTS)[name]().double()
        shape = (6,) if name in LATENTS else (3, *[getattr(network, "image_size", 16)] * 2)
        return network, torch.randn(4, *shape, dtype=torch.float64)


@pytest.mark.parametrize("name", IMAGES)
def test_stages_name_real_modules_that_fire_once_with_the_batch_first(name: str) -> None:
    network, x = make(name)
    modules = dict(network.named_modules())
    fired: Counter[str] = Counter()

    def count(stage: str, output: Tensor) -> None:
        fired[stage] += 1
        assert output.shape[0] == 4

    for stage in network.stages.values():
        assert stage in modules
    for stage in set(network.stages.values()):
        modules[stage].register_forward_hook(lambda m, a, output, stage=stage: count(stage, output))
    network(x)
    assert fired == Counter(set(network.stages.values()))
    numbers = range(1, STAGES.get(name, 4) + 1)
    assert {f"{alias}{i}" for i in numbers for alias in ("", "h")} == set(network.stages) - {"features"}
    assert all(network.stages[f"h{i}"] == network.stages[str(i)] for i in numbers)


@pytest.mark.parametrize("name", IMAGES | LATENTS)
def test_no_output_is_changed_in_place(name: str) -> None:
    network, x = make(name)
    before = x.clone()
    seen: list[tuple[str, Tensor, Tensor]] = []
    for path, module in network.named_modules():
        if "parametrizations" not in path:
            module.register_forward_hook(lambda m, a, o, path=path: seen.append((path, o, o.detach().clone())))
    network(x).square().sum().backward()
    assert len(seen) > 5
    assert torch.equal(x, before)
    assert [path for path, output, copied in seen if not torch.equal(output, copied)] == []


@pytest.mark.parametrize("name", IMAGES | LATENTS)
def test_gradients_reach_every_weight(name: str) -> None:
    network, x = make(name)
    out = network(x.requires_grad_())
    (out * torch.linspace(1, 2, out.numel(), dtype=out.dtype).reshape(out.shape)).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.any())
    missing = [path for path, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert missing == []
    weights = [(path, p) for path, p in network.named_parameters() if p.dim() > 1]
    assert [path for path, p in weights if not p.grad.any()] == []


@pytest.mark.parametrize("name", IMAGES | LATENTS)
def test_channels_last_gives_the_same(name: str) -> None:
    network, x = make(name)
    network.eval()
    other = copy.deepcopy(network).to(memory_format=torch.channels_last)
    y = x.to(memory_format=torch.channels_last) if x.dim() == 4 else x
    torch.testing.assert_close(other(y), network(x))


@pytest.mark.parametrize("name", IMAGES | LATENTS)
def test_a_state_dict_restores_the_network(name: str) -> None:
    network, x = make(name)
    network(x)  # moves the singular vectors and the running statistics
    with global_stream(1, "other weights"):
        other = (IMAGES | LATENTS)[name]().double()
    other.load_state_dict(network.state_dict())
    torch.testing.assert_close(other.eval()(x), network.eval()(x), rtol=0, atol=0)


@pytest.mark.slow(5)
@pytest.mark.parametrize("name", ["d-resnet-16", "d-dcgan-16", "wide", "mlp", "g-resnet-32"])
def test_the_forward_is_one_graph(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # its checks cannot be traced
    network, x = make(name)
    network.eval()
    torch._dynamo.reset()
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), network(x))
