"""Files of random weights in the form that torch-fidelity's VGG16 and CLIP read, small in size."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from torch_fidelity.feature_extractor_clip import CLIPVisual


def small_clip_file(folder: Path) -> Path:
    """A TorchScript archive in CLIP's form, with a transformer of two blocks."""

    class Form(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = CLIPVisual(16, 64, 2, 64, 32).visual
            self.text_projection = nn.Parameter(torch.randn(8, 16))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    path = folder / "ViT-B-32.pt"
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        torch.jit.save(torch.jit.trace(Form(), torch.zeros(1)), str(path))
    return path


class SmallVGG(nn.Module):
    """torchvision's VGG16 in form, small in size: its own file would hold 550 MB."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, 16), nn.ReLU(), nn.AdaptiveAvgPool2d(7), nn.Flatten())
        hidden = [nn.Linear(196, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 32), nn.ReLU(), nn.Dropout()]
        self.classifier = nn.Sequential(*hidden, nn.Linear(32, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x))


def small_vgg16_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file for `SmallVGG`, which takes VGG16's place for a test."""
    monkeypatch.setattr("torchvision.models.vgg16", SmallVGG)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(SmallVGG().state_dict(), folder / "vgg16.pth")
    return folder / "vgg16.pth"
