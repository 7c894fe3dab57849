"""The README's examples run as they stand there."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def example(name: str, **names: Any) -> dict[str, Any]:
    found = re.search(rf"<!-- example: {name} -->\n```python\n(.*?)```", README, re.DOTALL)
    assert found
    exec(found[1], names)
    return names


class Discriminator(nn.Module):
    """Somebody's own."""

    def __init__(self) -> None:
        super().__init__()
        relu = nn.LeakyReLU(0.1)
        self.features = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), relu, nn.Conv2d(8, 8, 4, 2, 1), nn.ReLU())
        self.head = nn.Linear(8 * 4 * 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).flatten(1))


def test_the_term_is_added() -> None:
    torch.manual_seed(0)
    names = example("term", discriminator=Discriminator())
    real, fake = torch.randn(8, 3, 16, 16), torch.randn(8, 3, 16, 16)
    loss = names["mixed_loss_of"](torch.zeros(()), real, fake, 0)
    assert loss.item() > 0
    loss.backward()
    assert all(p.grad is not None for p in names["net"].parameters())


def test_the_discriminator_example_trains() -> None:
    torch.manual_seed(0)
    names = example("discriminator", discriminator=Discriminator())
    optimizer = torch.optim.Adam(names["net"].parameters(), 1e-2)
    real, fake = torch.randn(8, 3, 16, 16) + 1, torch.randn(8, 3, 16, 16) - 1
    losses = []
    for step in range(12):
        loss = names["discriminator_loss"](real, fake, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(3 * 0.693, abs=0.3)  # three means of log 2 before anything is learnt
    assert losses[-1] < losses[0] - 0.5


@pytest.mark.slow(2)
def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blank: None) -> None:
    monkeypatch.chdir(tmp_path)
    import mmgan

    class G(nn.Module):
        def __init__(self, latent_dim: int) -> None:
            super().__init__()
            self.body = nn.Linear(latent_dim, 3 * 16 * 16)

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return self.body(z).view(-1, 3, 16, 16).tanh()

    class D(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block1, self.head = nn.Conv2d(3, 4, 4, 4), nn.Linear(64, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.block1(x).flatten(1))

    train = mmgan.train_gan
    small = {"steps": 2, "batch_size": 4, "latent_dim": 8, "sample_every": 0, "score_every": 0}
    monkeypatch.setattr(mmgan, "train_gan", lambda **settings: train(**settings | small))
    names = example("python", dataset=torch.zeros(8, 3, 16, 16, dtype=torch.uint8), G=G, D=D)
    assert names["images"].shape == (16, 3, 16, 16)
    assert torch.equal(names["generator"](torch.ones(1, 8)), names["run"].generator(torch.ones(1, 8)))


@pytest.mark.slow(2)
def test_the_classifier_example_trains() -> None:
    torch.manual_seed(0)
    names = example("classifier", model=resnet18(num_classes=10))
    optimizer = torch.optim.SGD(names["net"].parameters(), 0.05)
    images, labels = torch.randn(16, 3, 32, 32), torch.arange(16) % 10
    losses = []
    for step in range(8):
        loss = names["training_step"](images, labels, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < losses[0]


def test_the_links_and_commands_exist() -> None:
    root = Path(__file__).parents[1]
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (root / target).is_file(), target
    for config in re.findall(r"configs/[\w/-]+\.yaml", README):
        assert (root / config).is_file(), config
