"""Class-conditional training: against the same training written out plainly, and whole runs of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from PIL import Image
from torch import Tensor, nn

from mmgan.commands import sample, score
from mmgan.config.fields import Names
from mmgan.config.gan import GanMixSettings, GanTrainingSettings
from mmgan.data import Batches, make_batches, make_images
from mmgan.discriminators import build_discriminator
from mmgan.draws import global_stream, torch_stream
from mmgan.gan.classes import Classes, SampleClasses
from mmgan.gan.export import export_generator, read_export
from mmgan.gan.loop import GanParts, make_optimizer, make_policy, train_gan
from mmgan.gan.networks import load_generator
from mmgan.generators import build_generator
from mmgan.mixing import Mixed
from mmgan.mixing.policies import RealFakePolicy
from mmgan.runs.folder import RunFolder
from mmgan.scoring import latents
from mmgan.supervised.judges import judge_network
from mmgan.train_gan import main
from mmgan.training.tasks import LoopContext
from tests.support.forks import Job, run_all
from tests.support.small_runs import UNSCORED

pytestmark = pytest.mark.slow(9)

B, SEED, LATENT, K = 6, 3, 5, 3
CLASSES = Classes(("a", "b", "c"), (10, 10, 10))
SETTINGS = GanTrainingSettings(steps=2, n_dis=2, batch_size=B, lr=1e-3)
CONDITIONAL = ["--conditional", "--mix", "1,pixel"]


def networks() -> tuple[nn.Module, nn.Module]:
    with global_stream(0, "weights"):
        g = build_generator("resnet", 16, 1, 3, LATENT, classes=K).double()
        return g, build_discriminator("resnet", 16, 1, 3, classes=K).double()


def real_batches() -> Batches:
    stream = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (30, 1, 16, 16), dtype=torch.uint8, generator=stream)
    batches = make_batches(make_images("random", "train", pixels, torch.arange(30) % K, CLASSES.names), B, seed=SEED)
    plain = batches.batch
    batches.batch = lambda step: (plain(step)[0].double(), plain(step)[1])  # type: ignore[method-assign]
    return batches


def by_hand(layer: str, soft: bool) -> tuple[nn.Module, nn.Module]:
    """JSGAN on (x, y): the blocks called one by one, the projection written out."""
    (g, d), batches, policy = networks(), real_batches(), RealFakePolicy([f"{layer}+embed"] if soft else layer)
    opt_g, opt_d = (torch.optim.Adam(net.parameters(), lr=SETTINGS.lr, betas=(0.0, 0.9)) for net in (g, d))

    def noise(purpose: str, step: int, count: int) -> Tensor:
        return torch.randn(count, LATENT, generator=torch_stream(SEED, purpose, 0, step)).double()

    def logits_of(x: Tensor, y: Tensor, plan: Any = None) -> Tensor:
        def mixed(h: Tensor) -> Tensor:
            lam = plan.lam.double().view(-1, *[1] * (h.dim() - 1))
            return torch.cat([h, lam * h[plan.left] + (1 - lam) * h[plan.right]])

        h, vectors = x, d.embed(y)
        for name, stage in [("pixel", nn.Identity()), *list(d.named_children())[:-2]]:
            h = mixed(stage(h)) if plan is not None and name in (layer, f"block{layer}") else stage(h)
        if plan is not None:
            vectors = mixed(vectors) if soft else torch.cat([vectors, vectors[plan.left]])
        return d.linear(h).squeeze(1) + (h * vectors).sum(1)

    for step in range(SETTINGS.steps):
        for opt in (opt_g, opt_d):
            opt.param_groups[0]["lr"] = SETTINGS.lr * (1 - step / SETTINGS.steps)
        for t in range(step * SETTINGS.n_dis, (step + 1) * SETTINGS.n_dis):
            real, y = batches.batch(t)
            both = torch.cat([y, y])
            fake = g(noise("latents of d", t, B), y).detach()
            plan = policy.draw(B, t, SEED, within=None if soft else both)
            logits = logits_of(torch.cat([real, fake]), both, plan)
            assert soft or torch.equal(both[plan.left], both[plan.right])
            weight = torch.ones(B).double() if plan.weight is None else plan.weight.double()
            is_real = (torch.arange(2 * B) < B).double()
            share = plan.lam * is_real[plan.left] + (1 - plan.lam) * is_real[plan.right]
            on_mixed = F.binary_cross_entropy_with_logits(logits[2 * B :], share, reduction="none")
            loss = F.softplus(-logits[:B]).mean() + F.softplus(logits[B : 2 * B]).mean()
            opt_d.zero_grad()
            (loss + (weight * on_mixed).sum() / weight.sum()).backward()
            opt_d.step()
        y = y.repeat(SETTINGS.g_batch_factor)
        opt_g.zero_grad()
        F.softplus(-logits_of(g(noise("latents of g", step, len(y)), y), y)).mean().backward()
        opt_g.step()
    return g, d


@pytest.mark.parametrize(("layer", "soft"), [("1", False), ("pixel", False), ("1", True), ("pixel", True)])
def test_training_equals_the_same_by_hand(layer: str, soft: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    randn = torch.randn
    monkeypatch.setattr(
        torch, "randn", lambda *size, **kw: randn(*size, **kw).double() if kw.get("device") else randn(*size, **kw)
    )
    (g, d), mix = networks(), GanMixSettings(mix=Names(layer))
    mixed = Mixed(d, [f"{layer}+embed"] if soft else layer)
    optimizers = make_optimizer(g, SETTINGS), make_optimizer(mixed, SETTINGS)
    policy = make_policy(mix, (f"{layer}+embed",) if soft else None)
    parts = GanParts(g, mixed, None, *optimizers, real_batches(), policy, LATENT)
    parts.classes, parts.mix_within = CLASSES, not soft
    train_gan(parts, mix, SETTINGS, LoopContext(Accelerator(cpu=True), SEED))
    for ours, theirs in zip((g, d), by_hand(layer, soft), strict=True):
        for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7, msg=lambda m, name=name: f"{name}: {m}")


def weights(run: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    files = sorted((run / "checkpoints/step-00000004").glob("*.safetensors"))
    return {f"{path.stem}/{name}": value for path in files for name, value in load_file(path).items()}


def read_as_asked(run: Path, count: int = 100) -> float:
    """The share of the run's samples that the judge reads as the class that was asked for."""
    judge, _ = judge_network("digits", "unused", image_size=16, channels=1)
    network = load_generator(RunFolder(run), "last").network
    config, facts = (
        RunFolder(run).read_config(),
        json.loads((next((run / "checkpoints").glob("step*")) / "state.json").read_text()),
    )
    asked = SampleClasses(tuple(facts["class_counts"]), config["seed"])(0, count)
    with torch.no_grad():
        images = network(latents(0, count, config["latent_dim"], config["seed"]), asked)
        levels = ((images + 1) * 127.5).round() / 127.5 - 1
        return float((judge(levels).argmax(1) == asked).double().mean())


def test_a_run_its_grids_its_scores_and_its_samples(tmp_path: Path, train, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    flags = [*CONDITIONAL, "--mix-classes", "embed", "--steps", "4", "--checkpoint-every", "2"]
    flags += ["--diagnose-every", "4", "--holdout", "0.2", "--max-images", "100"]
    assert train(run, *flags) == 0
    state = json.loads((run / "checkpoints/step-00000004/state.json").read_text())
    assert state["class_names"] == list("0123456789")
    assert state["class_counts"] == [10] * 10
    assert {layer for row in RunFolder(run).read_metrics() for layer in row["layers"]} == {"1+embed", "pixel+embed"}
    with Image.open(run / "samples/step-00000004.png") as grid:
        assert grid.size[0] == grid.size[1]  # ten classes, ten of each
    assert RunFolder(run).read_scores()["last"]["step"] == 4

    shutil.copytree(run, tmp_path / "again")
    shutil.rmtree(tmp_path / "again/checkpoints/step-00000004")
    assert train(tmp_path / "again", *flags, "--resume") == 0
    first, again = weights(run), weights(tmp_path / "again")
    assert [name for name in first if not torch.equal(first[name], again[name])] == []
    assert train(run, *flags, "--resume", "--mix-classes", "within") == 2
    assert "mix_classes was embed, is within" in capsys.readouterr().err

    assert sample.main([str(run), "--count", "3", "--class", "7", "--out", str(tmp_path / "sevens")]) == 0
    assert len(list((tmp_path / "sevens").iterdir())) == 3
    export = export_generator(RunFolder(run), "last", tmp_path / "export", "mit")
    assert "torch.randint(10, (16,))" in (tmp_path / "export/README.md").read_text()
    assert len(export) == 4
    network, y = read_export(tmp_path / "export").network, torch.arange(10)
    own = load_generator(RunFolder(run), "last").network
    z = torch.randn(10, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network(z, y), own(z, y))
    assert score.main([str(run), "--by-class", "--samples", "100", "--json", str(tmp_path / "s.json")]) == 0
    found = json.loads((tmp_path / "s.json").read_text())
    assert set(found["by_class"]) == set("0123456789")
    assert {of["samples"] for of in found["by_class"].values()} == {10}
    assert read_as_asked(run) == pytest.approx(found["mean_by_class"]["read_as_its_class"])
    assert sample.main([str(run)]) == 0
    assert (run / "samples/step-00000004-seed0-100.png").is_file()
    assert sample.main([str(run), "--class", "ten"]) == 2
    assert "there is no class 'ten'" in capsys.readouterr().err


@pytest.mark.slow(5)
def test_two_processes_equal_one_in_two_slices(tmp_path: Path) -> None:
    """A slice draws as a process does."""
    flags = [*UNSCORED, *CONDITIONAL, "--steps", "4", "--sample-every", "0"]
    one = Job("gan", [*flags, "--out", str(tmp_path / "one"), "--accumulate", "2"])
    two = Job("gan", [*flags, "--out", str(tmp_path / "two")], processes=2)
    for done in run_all([one, two]):
        assert done.code == 0, done.err
    first, second = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert any("embed" in name for name in first)
    for name, value in first.items():
        if "running" not in name and "num_batches" not in name:  # of a process's own rows
            torch.testing.assert_close(value, second[name], rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ["--conditional", "--arch", "dcgan"],
            "--conditional is for --arch resnet: the dcgan networks",
        ),
        (["--conditional", "--max-images", "5"], "there is none of"),
        (["--mix-classes", "within"], "needs --conditional"),
        (["--conditional", "--data", "folder:{flat}", "--score-every", "0"], "has no classes"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(
    flags: list[str], said: str, tmp_path: Path, train, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flat").mkdir()
    for i in range(2):
        Image.new("L", (16, 16), i).save(tmp_path / f"flat/{i}.png")
    assert train(tmp_path / "run", *(flag.replace("{flat}", str(tmp_path / "flat")) for flag in flags)) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert not (tmp_path / "run").exists()


def test_samples_of_a_class_need_a_conditional_run(tmp_path: Path, train, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert train(run, "--steps", "1", "--score-every", "0", "--sample-every", "0") == 0
    assert sample.main([str(run), "--class", "3"]) == 2
    assert "is not a conditional run" in capsys.readouterr().err
    assert score.main([str(run), "--by-class"]) == 2
    assert "--by-class needs a conditional run" in capsys.readouterr().err


def test_folders_of_a_folder_are_classes(tmp_path: Path, train) -> None:
    for i in range(12):
        folder = tmp_path / "photos" / ("cat", "dog")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), 20 * i).save(folder / f"{i}.png")
    run = tmp_path / "run"
    flags = ["--data", f"folder:{tmp_path / 'photos'}", "--conditional", "--steps", "2", "--sample-every", "0"]
    assert train(run, *flags, "--mix", "1", "--score-every", "0") == 0
    assert sample.main([str(run), "--class", "dog", "--count", "2"]) == 0
    assert (run / "samples/step-00000002-seed0-2-class1.png").is_file()


OWN = """
import torch
from torch import nn


class G(nn.Module):
    def __init__(self, latent_dim, classes):
        super().__init__()
        self.table, self.linear = nn.Embedding(classes, latent_dim), nn.Linear(latent_dim, 256)

    def forward(self, z, y):
        return self.linear(z * self.table(y)).tanh().view(-1, 1, 16, 16)


class D(nn.Module):
    def __init__(self, classes, used=True, known=None):
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Flatten(), nn.Linear(256, 8)), nn.Linear(8, 1)
        self.table, self.used = nn.Embedding(known or classes, 8), used

    def forward(self, x, y):
        h = self.body(x)
        return self.head(h) + self.used * (self.table(y) * h).sum(1, keepdim=True)


def without_classes(latent_dim):
    return nn.Sequential(nn.Linear(latent_dim, 256), nn.Tanh(), nn.Unflatten(1, (1, 16, 16)))
"""


def test_own_networks_take_classes_or_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(OWN)

    def run(out: str, *flags: str) -> int:
        short = ["--steps", "2", "--batch-size", "8", "--score-every", "0", "--sample-every", "0", "--conditional"]
        return main([*short, "--generator", "mine.py:G", "--discriminator", "mine.py:D", "--out", out, *flags])

    assert run("within", "--mix", "body,pixel") == 0
    assert run("embed", "--mix", "body+table", "--mix-classes", "embed") == 0
    assert sample.main(["within", "--class", "3", "--count", "2", "--generator", "mine.py:G"]) == 0
    capsys.readouterr()
    for flags, said in (
        (["--discriminator-args", '{"used": false}'], "discriminator that uses the classes, and this one ignores y"),
        (["--discriminator-args", '{"known": 5}'], "does not take class numbers up to 9, and there are 10 classes"),
        (
            ["--generator", "mine.py:without_classes"],
            "calls the generator with the classes of its rows",
        ),
        (
            ["--mix", "body", "--mix-classes", "embed"],
            "name yours with each layer, as in --mix body+",
        ),
    ):
        assert run("refused", *flags) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        assert said in lines[0]
        assert not Path("refused").exists()
