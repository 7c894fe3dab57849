"""The README's examples, and those that the docs took over from it, run as they stand there."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import resnet18

from docs.scripts.badges import badges
from mmgan import train_gan
from mmgan.config.gan import GanConfig
from mmgan.config.parse import parse_config
from mmgan.experiments.framework.documents import read_results

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [README, *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))]
LARGEST = 12
"""Lines of an example in the README."""


def printed(name: str, language: str = "python") -> str:
    found = [re.search(rf"<!-- example: {name} -->\n```{language}\n(.*?)```", page, re.DOTALL) for page in PAGES]
    (match,) = (match for match in found if match)
    return match[1]


def example(name: str, **names: Any) -> dict[str, Any]:
    exec(printed(name), names)
    return names


def test_the_readme_and_its_examples_are_short() -> None:
    assert len(README.splitlines()) <= 120
    for name, language in {"term": "python", "discriminator": "python", "trainer": "sh"}.items():
        assert len(printed(name, language).splitlines()) <= LARGEST


@pytest.mark.slow(5)
def test_the_trainer_s_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(8):
        Image.new("RGB", (16, 16), (30 * i, 80, 200)).save(tmp_path / f"photos/{i}.png")
    small = [
        "--steps",
        "2",
        "--batch-size",
        "4",
        "--image-size",
        "16",
        "--score-every",
        "0",
        "--sample-every",
        "0",
        "--d-width",
        "8",
        "--g-width",
        "8",
    ]
    ran = 0
    for line in printed("trainer", "sh").splitlines():
        words = line.split()
        if "folder:photos" in words:
            assert words[:3] == ["accelerate", "launch", "mmgan/train_gan.py"]
            assert train_gan.main([*words[3:], *small]) == 0
            ran += 1
        elif words[:2] == ["accelerate", "launch"]:  # its data may be absent here: only the flags are read
            parse_config(GanConfig, words[3:], prog="x", description="x", default_config=GanConfig.DEFAULT)
    assert ran == 1


def test_the_counts_are_those_of_the_results() -> None:
    found = [f.verdict for r in read_results(ROOT / "results").values() for f in r.findings]
    said = re.search(r"(\d+) findings\s+agree with the paper, (\d+) are undecided and (\d+) disagree", README)
    assert said
    assert [int(n) for n in said.groups()] == [found.count(v) for v in ("agrees", "undecided", "disagrees")]


def test_the_badges_are_true() -> None:
    for name, text in badges().items():
        assert (ROOT / "docs/images" / name).read_text(encoding="utf-8") == text


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
    names = example("discriminator", discriminator=Discriminator(), torch=torch)
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
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "CONTRIBUTING.md", ROOT / "examples/README.md"]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", text):
            place = (page.parent / target).resolve()
            generated = ROOT / "docs/tutorial.py" if place.name == "tutorial.md" else place
            assert generated.is_file(), f"{page.name}: {target}"
        for config in re.findall(r"configs/[\w/-]+\.yaml", text):
            assert (ROOT / config).is_file() or "none" in config, f"{page.name}: {config}"


def test_no_page_is_long() -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert len(page.read_text(encoding="utf-8").splitlines()) <= 600, page
