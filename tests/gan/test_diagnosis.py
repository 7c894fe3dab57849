"""Measures of a discriminator against what is known by hand, and runs that are diagnosed."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mmgan.commands import diagnose, export
from mmgan.errors import UserError
from mmgan.gan.diagnosis import (
    along_lam,
    calibration,
    gradient_along_lam,
    gradient_norms,
    logits_of,
    overfitting,
    straightness,
)
from mmgan.gan.export import read_export
from mmgan.gan.networks import load_generator
from mmgan.gan.own import OwnNetwork
from mmgan.mixing import Mixed
from mmgan.networks.own import find_factory
from mmgan.report.diagnosis import main_numbers
from mmgan.runs.folder import RunFolder
from mmgan.train_gan import main

LAM = torch.tensor([0.0, 0.25, 0.5, 1.0])


def rows(count: int, seed: int) -> tuple[Tensor]:
    return (torch.randn(count, 1, 2, 2, generator=torch.Generator().manual_seed(seed)),)


class Affine(nn.Module):
    """D(x) = w x + b through a hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.flat, self.hidden, self.head = nn.Flatten(), nn.Linear(4, 3), nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(self.flat(x)))


class Squares(nn.Module):
    """D(x) = |x|^2."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).square().sum(1)


def test_an_affine_discriminator_is_straight_at_every_layer() -> None:
    net, real, fake = Mixed(Affine(), "pixel,hidden", check=False), rows(7, 1), rows(7, 2)
    for layer in ("pixel", "hidden"):
        logits = along_lam(net, layer, real, fake, LAM, chunk=5)
        wanted = LAM[:, None] * logits_of(net, real) + (1 - LAM[:, None]) * logits_of(net, fake)
        torch.testing.assert_close(logits, wanted)
        assert straightness(logits, LAM).relative_deviation == pytest.approx(0, abs=1e-6)
    weight = net.model.head.weight @ net.model.hidden.weight  # (1, 4)
    torch.testing.assert_close(gradient_norms(net, real, 3), weight.norm().expand(7).detach())
    torch.testing.assert_close(gradient_along_lam(net, real, fake, LAM), weight.norm().expand(4).detach())


def test_a_square_is_as_far_from_its_line_as_algebra_says() -> None:
    """|lam a + (1 - lam) b|^2 is lam |a|^2 + (1 - lam) |b|^2 - lam (1 - lam) |a - b|^2."""
    net, real, fake = Mixed(Squares(), "pixel", check=False), rows(6, 1), rows(6, 2)
    found = straightness(along_lam(net, "pixel", real, fake, LAM), LAM)
    distance = (real[0] - fake[0]).flatten(1).square().sum(1)  # (6,)
    expected = float(distance.mean()) * (0.25 * 0.75 + 0.5 * 0.5) / 2
    gap = float((net(*real) - net(*fake)).abs().mean())
    assert found.deviation == pytest.approx(expected, rel=1e-5)
    assert found.relative_deviation == pytest.approx(expected / gap, rel=1e-5)
    torch.testing.assert_close(gradient_norms(net, real), 2 * real[0].flatten(1).norm(dim=1))
    between = [2 * (at * real[0] + (1 - at) * fake[0]).flatten(1).norm(dim=1).mean() for at in LAM.tolist()]
    torch.testing.assert_close(gradient_along_lam(net, real, fake, LAM, chunk=4), torch.stack(between))


def test_mixing_after_a_bend_is_written_out() -> None:
    hidden, head = nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.ReLU()), nn.Sequential(nn.Linear(5, 2), nn.Tanh())
    nn.ModuleList([hidden, head]).requires_grad_(False)
    net, real, fake = Mixed(nn.Sequential(hidden, head), "0", check=False), rows(5, 1), rows(5, 2)
    logits = along_lam(net, "0", real, fake, LAM)
    for i, at in enumerate(LAM.tolist()):
        for j in range(5):
            h = at * hidden(real[0][j : j + 1]) + (1 - at) * hidden(fake[0][j : j + 1])
            assert float(logits[i, j]) == pytest.approx(float(head(h).mean()), abs=1e-6)


def test_a_dead_discriminator_has_no_relative_deviation_and_no_r() -> None:
    logits = torch.full((4, 3), 2.0)
    assert straightness(logits, LAM).relative_deviation is None
    assert overfitting(logits[0], logits[1], logits[2]) is None


def test_overfitting_by_hand() -> None:
    train, fake = torch.tensor([3.0, 5.0]), torch.tensor([-1.0, 0.0, -2.0])
    assert overfitting(train, torch.tensor([4.0]), fake) == 0
    assert overfitting(train, torch.tensor([-1.0]), fake) == 1
    assert overfitting(train, torch.tensor([1.0, 3.0]), fake) == pytest.approx((4 - 2) / (4 + 1))


def test_calibration_by_hand() -> None:
    logits = torch.tensor([[-math.log(3), -math.log(3)], [0.0, 0.0], [0.0, 0.0], [math.log(3), math.log(3)]])
    real, error = calibration(logits, LAM)
    assert real.tolist() == pytest.approx([0.25, 0.5, 0.5, 0.75])
    assert error == pytest.approx((0.25 + 0.25 + 0 + 0.25) / 4)
    exact = torch.logit(torch.tensor([0.2, 0.4, 0.9], dtype=torch.float64))[:, None].expand(3, 5)
    assert calibration(exact, torch.tensor([0.2, 0.4, 0.9]))[1] == pytest.approx(0, abs=1e-7)


def diagnosis_of(row: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a diagnosis in a row of metrics."""
    return {name.removeprefix("diagnosis/"): row[name] for name in row if name.startswith("diagnosis/")}


def without_diagnosis(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith("diagnosis/")}


@pytest.mark.slow(6)
def test_diagnosing_changes_no_weight_and_the_command_repeats_it(
    tmp_path: Path, train, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--mix", "1,pixel", "--steps", "3", "--score-every", "0", "--sample-every", "0", "--checkpoint-every", "1"]
    flags += ["--holdout", "0.03", "--keep-checkpoints", "3", "--max-images", "40"]
    assert train(tmp_path / "quiet", *flags) == 0
    assert train(tmp_path / "busy", *flags, "--diagnose-every", "2") == 0
    for file in sorted((tmp_path / "quiet/checkpoints/step-00000003").glob("*.safetensors")):
        one, other = load_file(file), load_file(tmp_path / "busy/checkpoints/step-00000003" / file.name)
        assert [name for name in one if not torch.equal(one[name], other[name])] == []
    quiet, busy = RunFolder(tmp_path / "quiet"), RunFolder(tmp_path / "busy")
    assert not quiet.diagnosis_file.exists()
    assert not quiet.diagnoses.exists()

    entries = busy.read_diagnoses()
    noted = {step: diagnosis_of(row) for step, row in enumerate(busy.read_metrics(), 1)}
    assert quiet.read_metrics() == [without_diagnosis(row) for row in busy.read_metrics()]
    assert noted == {1: {}} | {entry["step"]: main_numbers(entry) for entry in entries}
    assert {"overfitting", "relative_deviation:pixel", "gradient_norm:between"} <= noted[3].keys()
    lines = busy.metrics_file.read_bytes()
    assert [entry["step"] for entry in entries] == [2, 3]
    assert entries[-1]["images"] == {"train": 40, "fake": 40, "held_out": 43}
    assert list(entries[-1]["layers"]) == ["pixel", "1", "2", "3", "4"]
    means = {name: values["mean"] for name, values in entries[-1]["logits"].items()}
    r = (means["train"] - means["held_out"]) / (means["train"] - means["fake"])
    assert entries[-1]["overfitting"] == pytest.approx(r, abs=1e-3)
    assert (busy.diagnoses / "step-00000003.png").is_file()
    assert "Discriminator" in busy.report_file.read_text()

    assert diagnose.main([str(quiet.path)]) == 0
    assert quiet.read_diagnoses() == entries[1:]
    assert diagnose.main([str(busy.path), "--held-out", "test", "--checkpoint", "step-00000002"]) == 0
    assert [entry["held_out"] for entry in busy.read_diagnoses()] == ["digits (test)", "digits (held-out)"]
    capsys.readouterr()

    # A resumed run forgets the diagnoses of later steps and makes them again.
    newest = busy.checkpoints / "step-00000003"
    newest.rename(tmp_path / "gone")
    assert train(tmp_path / "busy", *flags, "--diagnose-every", "3", "--resume") == 0
    assert busy.read_diagnoses()[-1] == entries[-1]
    assert busy.metrics_file.read_bytes() == lines
    assert train(tmp_path / "busy", *flags, "--resume", "--holdout", "0.3") == 2
    assert "holdout was 0.03, is 0.3" in capsys.readouterr().err


@pytest.mark.slow(1)
def test_without_held_out_images_there_is_no_r(tmp_path: Path, train) -> None:
    flags = ["--steps", "1", "--score-every", "0", "--sample-every", "0", "--max-images", "20"]
    assert train(tmp_path / "run", *flags, "--diagnose-every", "1", "--arch", "dcgan") == 0
    (entry,) = RunFolder(tmp_path / "run").read_diagnoses()
    assert entry["overfitting"] is None
    assert "held_out" not in entry["logits"]
    assert entry["pairs"] == 20


OWN = """
import torch
from torch import nn


class G(nn.Module):
    def __init__(self, latent_dim, gain=1.0):
        super().__init__()
        self.linear, self.gain = nn.Linear(latent_dim, 256), gain

    def forward(self, z):
        return (self.gain * self.linear(z)).view(-1, 1, 16, 16).tanh()


class D(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Flatten(), nn.Linear(256, 4), nn.ReLU()), nn.Linear(4, 1)

    def forward(self, x):
        h = self.body(x)
        return {"logits": self.head(h), "features": h}


class OddInEvaluation(D):
    def forward(self, x):
        if not self.training and len(x) > 8:
            raise RuntimeError("too many rows")
        return super().forward(x)
"""


@pytest.mark.slow(3)
def test_own_networks_are_diagnosed_and_exported_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "own_diagnosed.py"
    file.write_text(OWN)
    run, names = tmp_path / "run", ["--generator", f"{file}:G", "--generator-args", '{"gain": 2.0}', "--pick", "logits"]
    flags = ["--steps", "1", "--mix", "body", "--score-every", "0", "--sample-every", "0", "--max-images", "20"]
    flags += ["--latent-dim", "8", "--batch-size", "8"]
    assert main([*flags, *names, "--discriminator", f"{file}:OddInEvaluation", "--out", str(tmp_path / "odd")]) == 0
    again = ["--diagnose-every", "1", "--discriminator", f"{file}:OddInEvaluation"]
    assert main([*flags, *names, *again, "--out", str(tmp_path / "refused")]) == 2
    assert (
        "when the untrained networks were diagnosed, in evaluation mode: RuntimeError: too" in capsys.readouterr().err
    )
    assert not (tmp_path / "refused").exists()

    assert main([*flags, *names, "--discriminator", f"{file}:D", "--diagnose-every", "1", "--out", str(run)]) == 0
    (entry,) = RunFolder(run).read_diagnoses()
    assert list(entry["layers"]) == ["pixel", "body"]
    assert entry["layers"]["body"]["relative_deviation"] == pytest.approx(0, abs=1e-4)  # the head is affine
    capsys.readouterr()
    assert diagnose.main([str(run)]) == 2
    assert "name it again, as in --generator" in capsys.readouterr().err
    both = ["--generator", f"{file}:G", "--discriminator", f"{file}:D"]
    assert diagnose.main([str(run), *both]) == 0
    assert RunFolder(run).read_diagnoses() == [entry]

    assert export.main([str(run), "--out", str(tmp_path / "out"), *both[:2]]) == 0
    assert str(tmp_path) not in (tmp_path / "out/README.md").read_text() + (tmp_path / "out/config.json").read_text()
    with pytest.raises(UserError, match="not its code: name it again"):
        read_export(tmp_path / "out")
    own = OwnNetwork(f"{file}:G", find_factory(f"{file}:G"))
    trained = load_generator(RunFolder(run), "last", own)
    z = torch.randn(2, 8)
    assert torch.equal(read_export(tmp_path / "out", own).network(z), trained.network(z))
