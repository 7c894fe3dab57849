import pytest
import scipy.stats
import torch
from torch import nn

from mmgan.modes import evaluation_mode
from mmgan.scoring import NonFiniteSamples, image_source, latents, quantise
from mmgan.scoring.samples import BLOCK


def tiny_generator() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        linear, norm = nn.Linear(4, 3 * 8 * 8), nn.BatchNorm1d(3 * 8 * 8)
        return nn.Sequential(linear, norm, nn.Dropout(0.5), nn.Tanh(), nn.Unflatten(1, (3, 8, 8)))


@pytest.mark.parametrize(("first", "count"), [(0, 1), (0, 64), (63, 2), (10, 200), (128, 64), (7, 0)])
def test_a_latent_depends_on_its_index_alone(first: int, count: int) -> None:
    everything = latents(0, 4 * BLOCK, 5, seed=3)
    assert torch.equal(latents(first, count, 5, seed=3), everything[first : first + count])


def test_latents_are_standard_normal_and_seeded(rng_untouched: None) -> None:
    drawn = latents(0, 5000, 4, seed=0)
    assert scipy.stats.kstest(drawn.flatten().numpy(), "norm").pvalue > 0.01
    assert len(drawn.unique(dim=0)) == 5000
    assert not torch.equal(drawn, latents(0, 5000, 4, seed=1))


def test_quantise_rounds_to_the_nearest_grey_level() -> None:
    levels = torch.arange(256, dtype=torch.float64)
    for offset in (-0.49, 0.0, 0.49):
        x = ((levels + offset) / 127.5 - 1).float().view(1, 1, 16, 16)
        assert torch.equal(quantise(x).flatten().double(), levels)
    beyond = torch.tensor([-1.5, -1.0, 1.0, 1.5]).view(1, 1, 2, 2)
    assert quantise(beyond).flatten().tolist() == [0, 0, 255, 255]
    assert quantise(torch.tensor([0.5], dtype=torch.bfloat16).view(1, 1, 1, 1)).item() == 191


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_quantise_refuses_what_is_not_finite(bad: float) -> None:
    x = torch.zeros(5, 1, 4, 4)
    x[2, 0, 1, 1] = x[2, 0, 3, 3] = bad
    with pytest.raises(NonFiniteSamples, match="1 of 5 generated images"):
        quantise(x)


def test_modes_are_restored_one_by_one_even_after_an_error() -> None:
    module = tiny_generator().train()
    module[1].eval()
    before = [part.training for part in module.modules()]

    def fail() -> None:
        with evaluation_mode(module):
            assert not any(part.training for part in module.modules())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [part.training for part in module.modules()] == before


def test_generating_leaves_the_generator_as_it_was(rng_untouched: None) -> None:
    generator = tiny_generator().train()
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    generate = image_source(generator, dim=4, seed=0)
    images = generate(0, 10)
    assert images.shape == (10, 3, 8, 8)
    assert images.dtype == torch.uint8
    assert torch.equal(generate(0, 10), images)  # dropout would differ
    assert all(part.training for part in generator.modules())
    assert all(torch.equal(value, before[key]) for key, value in generator.state_dict().items())
    expected = generator.eval()(latents(0, 10, 4, 0))
    assert torch.equal(images, ((expected + 1) * 127.5).round().to(torch.uint8))


def test_a_generator_gone_wrong_is_refused() -> None:
    generator = tiny_generator()
    with torch.no_grad():
        generator[0].weight[0, 0] = float("nan")
    with pytest.raises(NonFiniteSamples, match="10 of 10"):
        image_source(generator, dim=4, seed=0)(0, 10)
