"""The classes of a conditional run: of samples, of layers, and what is refused."""

import pytest
import torch
from torch import Tensor, nn

from mmgan.config.fields import Names
from mmgan.config.gan import GanDataSettings, GanMixSettings
from mmgan.data import Images, make_images
from mmgan.discriminators import build_discriminator
from mmgan.draws import global_stream
from mmgan.errors import UserError
from mmgan.gan.classes import Classes, SampleClasses, find_classes, layers_to_mix, require_use, saved_classes
from mmgan.gan.samples import run_source, sample_grid
from mmgan.generators import build_generator

THREE = Classes(("cat", "dog", "2"), (6, 3, 1))


def images(labels: list[int] | None, classes: tuple[str, ...] = ("cat", "dog", "2")) -> Images:
    count = 4 if labels is None else len(labels)
    given = None if labels is None else torch.tensor(labels)
    return make_images("made", "train", torch.zeros(count, 1, 16, 16, dtype=torch.uint8), given, classes)


def test_samples_have_the_training_images_shares_of_the_classes() -> None:
    labels = SampleClasses(THREE.counts, 0)
    assert labels(0, 10).bincount().tolist() == [6, 3, 1]
    assert labels(5, 20).bincount().tolist() == [12, 6, 2]
    assert torch.equal(labels(3, 4), labels(0, 10)[3:7])
    assert torch.equal(labels(13, 4), labels(3, 4))
    assert not torch.equal(labels(0, 10), labels(0, 10).sort().values)
    assert labels(0, 3).dtype == torch.int64
    assert len({tuple(SampleClasses(THREE.counts, seed)(0, 10).tolist()) for seed in range(8)}) > 3


def test_classes_are_found_by_name_and_by_number() -> None:
    assert [THREE.index_of(name) for name in ("cat", "dog", "2", "1", "0")] == [0, 1, 2, 1, 0]
    for name in ("3", "cats", "-1"):
        with pytest.raises(UserError, match=f"there is no class '{name}'"):
            THREE.index_of(name)
    assert saved_classes(THREE.facts()) == THREE
    assert saved_classes({}) is None


def test_what_cannot_be_conditional_is_refused() -> None:
    assert find_classes(images([0, 0, 2, 1, 0])) == Classes(("cat", "dog", "2"), (3, 1, 1))
    for given, message in (
        (images(None, ()), "made has no classes"),
        (images([0, 0], ("cat",)), "made has one class, cat"),
        (images([0, 2]), "each of the 3 classes of made, and there is none of dog"),
    ):
        with pytest.raises(UserError, match=message):
            find_classes(given)


def test_layers_take_the_embedding_with_them() -> None:
    mix, embed = GanMixSettings(mix=Names("1,pixel,2+linear")), GanDataSettings(True, "embed")
    network = build_discriminator("resnet", 16, 1, 2, classes=3)
    assert layers_to_mix(mix, embed, network) == ("1+embed", "pixel+embed", "2+linear")
    assert layers_to_mix(mix, GanDataSettings(True), network) == ("1", "pixel", "2+linear")
    assert layers_to_mix(GanMixSettings(), embed, network) == ("none",)
    with pytest.raises(UserError, match="no module 'embed': name yours with each layer, as in --mix 1"):
        layers_to_mix(mix, embed, nn.Linear(2, 2))


class Own(nn.Module):
    """A discriminator of somebody's own: with projection, or not."""

    def __init__(self, classes: int, used: bool = True) -> None:
        super().__init__()
        self.linear, self.embed, self.used = nn.Linear(256, 1), nn.Embedding(classes, 256), used
        nn.init.zeros_(self.embed.weight)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = x.flatten(1)
        projected = (self.embed(y) * h).sum(1, keepdim=True)
        return self.linear(h) + (projected if self.used else 0)


class Plain(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((1, 2, 3))


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_networks_that_use_the_classes_pass(classes: int) -> None:
    x = torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    with global_stream(0, "weights"):
        generator = build_generator("resnet", 16, 1, 2, 3, classes=classes)
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    require_use(generator, "generator", x[:, 0, 0, :3], classes)
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    assert generator.training
    require_use(build_discriminator("resnet", 16, 1, 2, classes=classes), "discriminator", x, classes)
    require_use(Own(classes), "discriminator", x, classes)  # a table at its zero initialisation


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Own(5, used=False), "this one ignores y"),
        (Plain(), "its forward.* takes none"),
        (Own(4), "does not take class numbers up to 4, and there are 5 classes"),
    ],
)
def test_networks_that_ignore_or_do_not_know_a_class_are_refused(network: nn.Module, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        require_use(network, "discriminator", torch.ones(4, 1, 16, 16), 5)
    assert "\n" not in str(error.value)


def test_a_grid_has_a_class_a_row_and_a_latent_a_column() -> None:
    with global_stream(0, "weights"):
        generator = build_generator("resnet", 16, 1, 2, 3, classes=3)
        for name, p in generator.named_parameters():
            if "scale" in name or "shift" in name:
                nn.init.normal_(p)
    shown, columns = sample_grid(generator, 3, 0, "cpu", THREE)
    assert (columns, len(shown)) == (10, 30)
    for k in range(3):
        assert torch.equal(shown[10 * k : 10 * k + 10], run_source(generator, 3, 0, "cpu", THREE, k)(0, 10))
    assert not torch.equal(shown[:10], shown[10:20])
    drawn, labels = run_source(generator, 3, 0, "cpu", THREE)(0, 10), SampleClasses(THREE.counts, 0)(0, 10)
    assert all(torch.equal(drawn[i], shown[10 * labels[i] + i]) for i in range(10))
    many = Classes(tuple(map(str, range(100))), (1,) * 100)
    with global_stream(0, "weights"):
        large = build_generator("resnet", 16, 1, 1, 2, classes=100)
    assert len(sample_grid(large, 2, 0, "cpu", many)[0]) == 160
    with global_stream(0, "weights"):
        plain = build_generator("resnet", 16, 1, 2, 3)
    shown, columns = sample_grid(plain, 3, 0, "cpu", None)
    assert (len(shown), columns) == (64, None)
