"""Class-conditional networks against counts derived by hand, by-hand arithmetic, and their laws under mixing."""

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

from mmgan.discriminators import ResNetDiscriminator, build_discriminator
from mmgan.draws import global_stream
from mmgan.errors import UserError
from mmgan.generators import ResNetGenerator, build_generator
from mmgan.generators.conditional import ConditionalBatchNorm
from mmgan.mixing import Mixed, RealFakePolicy

CLASSES = 5


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def discriminator(**settings: object) -> ResNetDiscriminator:
    with global_stream(0, "weights"):
        return ResNetDiscriminator(16, 1, width=4, classes=CLASSES, **settings).double()


def rows(n: int = 6) -> tuple[Tensor, Tensor]:
    with global_stream(1, "rows"):
        return torch.randn(n, 1, 16, 16, dtype=torch.float64), torch.randint(CLASSES, (n,))


def divided(layer: nn.Module) -> Tensor:
    """The effective weight from the original and the stored singular vectors: W / (u^T W v)."""
    weight, norm = layer.parametrizations.weight.original, layer.parametrizations.weight[0]
    return weight / (norm._u[None] @ weight @ norm._v[:, None]).squeeze()


def features(network: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    seen: list[Tensor] = []
    hook = network.pool.register_forward_hook(lambda m, a, output: seen.append(output))
    logits = network(x, y)
    hook.remove()
    return seen[0], logits


def test_the_reference_networks_have_their_parameters() -> None:
    """One vector of 128 a class for D; for G six BatchNorms of 256 channels, with a scale and a shift a class."""
    with torch.device("meta"):
        assert count(build_discriminator("resnet", 32, spectral="none", classes=10)) == 1_053_824 + 10 * 128
        unconditional_norms = 6 * 2 * 256
        assert count(build_generator("resnet", 32, classes=10)) == 4_276_739 - unconditional_norms + 10 * 6 * 2 * 256
        # five blocks at 128 pixels: channels before and after each
        channels = [1024, 1024, 1024, 512, 512, 256, 256, 128, 128, 64]
        more = count(build_generator("resnet", 128, classes=10)) - count(build_generator("resnet", 128))
        assert more == (10 - 1) * 2 * sum(channels)
        larger = build_discriminator("resnet", 128, spectral="none", classes=10)
        assert count(larger) == count(build_discriminator("resnet", 128, spectral="none")) + 10 * 1024


def test_the_logit_is_linear_plus_projection_by_hand() -> None:
    network, (x, y) = discriminator().eval(), rows()
    h, logits = features(network, x, y)
    weight, table = divided(network.linear)[0], divided(network.embed)
    expected = [sum(h[i, j] * (weight[j] + table[y[i], j]) for j in range(h.shape[1])) for i in range(len(x))]
    torch.testing.assert_close(logits, torch.stack(expected))


def test_the_embedding_has_spectral_norm_one() -> None:
    network, (x, y) = discriminator(), rows(1)
    with torch.no_grad():
        for _ in range(100):
            network(x, y)
    assert float(torch.linalg.svdvals(network.embed.weight.detach())[0]) == pytest.approx(1, abs=1e-3)
    assert count(discriminator(spectral="none").embed) == CLASSES * 4


def test_an_unconditional_discriminator_has_the_same_weights_but_for_the_embedding() -> None:
    with global_stream(0, "weights"):
        plain = ResNetDiscriminator(16, 1, width=4).double()
    state = discriminator().state_dict()
    assert {key for key in state if key not in plain.state_dict()} == {key for key in state if "embed" in key}
    assert all(torch.equal(state[key], value) for key, value in plain.state_dict().items())


def test_conditional_batch_norm_by_hand() -> None:
    norm = ConditionalBatchNorm(3, CLASSES).double()
    assert bool((norm.scale.weight == 1).all())
    assert not norm.shift.weight.any()
    with global_stream(2, "norm"):
        nn.init.normal_(norm.scale.weight)
        nn.init.normal_(norm.shift.weight)
        x, y = torch.randn(4, 3, 2, 2, dtype=torch.float64), torch.tensor([1, 0, 1, 4])
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    plain = (x - mean) / (var + 2e-5) ** 0.5
    for i, k in enumerate(y):
        expected = plain[i] * norm.scale.weight[k][:, None, None] + norm.shift.weight[k][:, None, None]
        torch.testing.assert_close(norm(x, y)[i], expected)


def test_a_generator_s_classes_change_the_blocks_alone() -> None:
    with global_stream(0, "weights"):
        generator = ResNetGenerator(16, 1, width=4, latent_dim=3, classes=CLASSES).eval()
        for name, p in generator.named_parameters():
            if "scale" in name or "shift" in name:
                nn.init.normal_(p)
        z = torch.randn(4, 3)
    names = {name.split(".")[0] for name, m in generator.named_modules() if isinstance(m, ConditionalBatchNorm)}
    assert names == {"block1", "block2"}
    assert isinstance(generator.bn, nn.BatchNorm2d)
    y = torch.tensor([0, 1, 2, 3])
    images, others = generator(z, y), generator(z, y.roll(1))
    assert not any(torch.equal(a, b) for a, b in zip(images, others, strict=True))
    torch.testing.assert_close(generator(z[[2]], y[[2]]), images[[2]])


@pytest.mark.parametrize(("layer", "soft"), [("1", False), ("pixel", False), ("1+embed", True), ("pixel+embed", True)])
def test_mixed_rows_carry_one_class_or_a_soft_one(layer: str, soft: bool) -> None:
    """Within classes the mixed row has the pair's class; with the embedding in the cut it has the mix of the two."""
    net = Mixed(discriminator().eval(), layer)
    x, y = rows(8)
    y = y.remainder(2)
    plan = RealFakePolicy(net.layers).draw(4, 0, within=None if soft else y)
    seen: list[Tensor] = []
    net.model.pool.register_forward_hook(lambda m, a, output: seen.append(output))
    logits = net(x, y, plan=plan, mode="append")
    h, table = seen[-1][8:], divided(net.model.embed)
    lam = plan.lam[:, None].double()
    vectors = lam * table[y[plan.left]] + (1 - lam) * table[y[plan.right]] if soft else table[y[plan.left]]
    torch.testing.assert_close(logits[8:], h @ divided(net.model.linear)[0] + (vectors * h).sum(1))
    torch.testing.assert_close(logits[:8], net.model(x, y))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: discriminator()(x), "discriminator takes a class for each row.* given none"),
        (lambda x, y: discriminator()(x, y.float()), "int64 of shape .n,., but was given torch.float32"),
        (lambda x, y: discriminator()(x, y[:1]), "given 6 images and 1 classes"),
        (lambda x, y: build_discriminator("resnet", 16, 1, 2).double()(x, y), "unconditional: it takes no classes"),
        (lambda x, y: build_generator("resnet", 16, 1, 2, 3)(torch.zeros(6, 3), y), "generator is unconditional"),
        (lambda x, y: build_generator("resnet", 16, 1, 2, 3, classes=5)(torch.zeros(6, 3)), "given none"),
        (lambda x, y: build_generator("resnet", 16, 1, 2, 3, classes=5)(torch.zeros(5, 3), y), "5 latents and 6"),
        (lambda x, y: build_discriminator("dcgan", 16, classes=5), "--conditional is for --arch resnet"),
        (lambda x, y: build_generator("dcgan", 16, classes=5), "--conditional is for --arch resnet"),
    ],
)
def test_what_does_not_fit_is_refused(call: object, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(UserError, match=message):
        call(*rows())
