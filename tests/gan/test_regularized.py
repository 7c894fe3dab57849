"""Regularizers, augmentation, losses and targets in the trainer: one step against the same step written out plainly."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor, nn

from mmgan.config.fields import Names
from mmgan.config.gan import (
    GanConfig,
    GanDeviceSettings,
    GanMixSettings,
    GanNetworkSettings,
    GanRegularizerSettings,
    GanTrainingSettings,
)
from mmgan.data import make_images
from mmgan.discriminators import build_discriminator
from mmgan.draws import torch_stream
from mmgan.gan.build import make_parts
from mmgan.gan.loop import GanParts, make_policy, train_gan
from mmgan.generators import build_generator
from mmgan.modes import spectral_norms_at_rest
from mmgan.regularizers import DiffAugment
from mmgan.runs.folder import RunFolder
from mmgan.training.tasks import LoopContext
from tests.support.compare import assert_same_run
from tests.support.forks import Job, run_all
from tests.support.small_runs import UNSCORED

pytestmark = pytest.mark.slow(4)

B, SEED, LATENT, SIZE = 4, 3, 6, 16
AUGMENT = "color,translation,cutout"
ALL = {"r1": 2.0, "r2": 3.0, "gradient_penalty": 5.0, "lecam": 0.3, "bcr": 7.0, "zcr": 11.0}
ON = [f"--{name.replace('_', '-')}={weight}" for name, weight in ALL.items()] + ["--diffaugment", AUGMENT]
# A learning rate at which no weight moves: every number is taken at the same weights.
STILL = GanTrainingSettings(steps=1, n_dis=1, batch_size=B, g_batch_factor=2, lr=1e-12, lr_decay="none")


def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    g, d = build_generator("resnet", SIZE, 1, 4, LATENT), build_discriminator("resnet", SIZE, 1, 4)
    for name, parameter in d.named_parameters():
        if name.endswith("bias"):  # zeros among the pixels must not meet the kink of a ReLU
            nn.init.normal_(parameter, std=0.1)
    return g, d


def parts_of(
    training: GanTrainingSettings, mix: GanMixSettings, regularizers: GanRegularizerSettings, compiled: bool = False
) -> GanParts:
    pixels = torch.randint(0, 256, (23, 1, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    networks_of, device = GanNetworkSettings(latent_dim=LATENT), GanDeviceSettings(compile=compiled)
    config = GanConfig(mix, networks=networks_of, training=training, regularizers=regularizers, device=device)
    images = make_images("random", "train", pixels)
    return make_parts(*networks(), config, images, make_policy(mix), Accelerator(cpu=True))


def trained(
    training: GanTrainingSettings = STILL,
    mix: GanMixSettings = GanMixSettings(),  # noqa: B008
    regularizers: GanRegularizerSettings = GanRegularizerSettings(),  # noqa: B008
    skip: int = 0,
) -> tuple[list[dict[str, Any]], GanParts]:
    """The rows of metrics, and the parts after the training; Adam with beta1 = 0 keeps the gradients as its mean."""
    rows: list[dict[str, Any]] = []
    parts = parts_of(training, mix, regularizers)
    context = LoopContext(Accelerator(cpu=True), SEED, on_metrics=rows.extend, skip_non_finite=skip)
    train_gan(parts, mix, training, context)
    return rows, parts


class ByHand:
    """The rows of the first steps; nothing of the trainer's steps or of the regularizers is used but the draws."""

    def __init__(self, augment: str) -> None:
        self.g, self.d = networks()
        self.augment = DiffAugment(augment) if augment else None
        self.batches = parts_of(STILL, GanMixSettings(), GanRegularizerSettings()).batches

    def augmented(self, x: Tensor, rows: str, step: int) -> Tensor:
        return x if self.augment is None else self.augment(x, rows, step=step, seed=SEED)

    def made(self, z: Tensor, step: int) -> Tensor:
        with torch.no_grad():
            return self.augmented(self.g(z), "fake", step)

    def step(self, t: int) -> None:
        """Images, latents and logits of D's step t; then the spectral norms stand still."""
        self.t = t
        self.z = torch.randn(B, LATENT, generator=torch_stream(SEED, "latents of d", 0, t))
        self.real = self.augmented(self.batches.batch(t)[0], "real", t)
        self.fake = self.made(self.z, t)
        self.d.train()
        self.d(torch.cat([self.real, self.fake]))  # the step's own forward, in which they advance
        self.d.eval()
        self.on_real, self.on_fake = self.d(self.real), self.d(self.fake)

    def squared_gradient(self, x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.d(x).sum(), x, create_graph=True)
        return gradient.flatten(1).square().sum(1)

    def term(self, name: str) -> Tensor:
        def shifted(x: Tensor, rows: str) -> Tensor:
            return DiffAugment("translation")(x, rows, step=self.t, seed=SEED)

        if name == "r1":
            return self.squared_gradient(self.real).mean() / 2
        if name == "r2":
            return self.squared_gradient(self.fake).mean() / 2
        if name == "gradient_penalty":
            eps = torch.rand(B, generator=torch_stream(SEED, "interpolates", 0, self.t)).view(-1, 1, 1, 1)
            return (self.squared_gradient(eps * self.real + (1 - eps) * self.fake).sqrt() - 1).square().mean()
        if name == "bcr":
            on_real, on_fake = self.d(shifted(self.real, "bcr real")), self.d(shifted(self.fake, "bcr fake"))
            return F.mse_loss(self.on_real, on_real) + F.mse_loss(self.on_fake, on_fake)
        if name == "zcr":
            noise = torch.randn(B, LATENT, generator=torch_stream(SEED, "zcr", 0, self.t))
            return F.mse_loss(self.on_fake, self.d(self.made(self.z + 0.03 * noise, self.t)))
        averages = getattr(self, "averages", None)
        self.averages = self.on_real.detach().mean(), self.on_fake.detach().mean()
        if averages is None:
            return self.on_real.sum() * 0
        return (self.on_real - averages[1]).square().mean() + (self.on_fake - averages[0]).square().mean()

    def g_loss(self, cost: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The generator's cost, its fakes and latents."""
        z = torch.randn(2 * B, LATENT, generator=torch_stream(SEED, "latents of g", 0, 0))
        fake = self.g(z)
        self.d.train()
        on_fake = self.d(self.augmented(fake, "fake of g", 0))
        self.d.eval()
        return cost(on_fake), fake, z


def gradients(optimizer: torch.optim.Optimizer) -> Tensor:
    return torch.cat([state["exp_avg"].flatten() for state in optimizer.state_dict()["state"].values()])


def gradients_of(loss: Tensor, network: nn.Module) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(network.parameters()))])


def test_penalties_at_all_rows_differentiate_the_forward_of_the_step() -> None:
    """R1 with R2 and no mixing: no further forward, the same numbers."""
    settings = GanRegularizerSettings(r1=2.0, r2=3.0)
    calls: list[int] = []
    (row,), parts = trained(regularizers=settings)
    by_hand = ByHand("")
    by_hand.step(0)
    r1, r2 = by_hand.term("r1"), by_hand.term("r2")
    loss = F.softplus(-by_hand.on_real).mean() + F.softplus(by_hand.on_fake).mean() + 2 * r1 + 3 * r2
    assert (row["r1"], row["r2"]) == pytest.approx((float(r1.detach()), float(r2.detach())), rel=1e-4)
    assert row["loss_d"] == pytest.approx(float(loss.detach()), rel=1e-5)
    theirs = gradients_of(loss, by_hand.d)
    assert float((gradients(parts.opt_d) - theirs).norm() / theirs.norm()) < 1e-4
    parts.discriminator.register_forward_hook(lambda *_: calls.append(1))
    parts.step = 0
    train_gan(parts, GanMixSettings(), STILL, LoopContext(Accelerator(cpu=True), SEED))
    assert len(calls) == 2  # D's step and G's


@pytest.mark.parametrize("augment", ["", AUGMENT])
@pytest.mark.parametrize("name", ALL)
def test_one_step_with_a_regularizer_and_mixing_equals_the_same_step_by_hand(name: str, augment: str) -> None:
    training = GanTrainingSettings(steps=1, n_dis=2, batch_size=B, lr=1e-12, lr_decay="none")
    mix = GanMixSettings(mix=Names("pixel"))
    settings = GanRegularizerSettings(**{name: ALL[name]}, diffaugment=Names(augment or "none"))  # type: ignore[arg-type]
    (row,), parts = trained(training, mix, settings)
    by_hand, losses, values = ByHand(augment), [], []
    for t in range(2):
        by_hand.step(t)
        plan = make_policy(mix).draw(B, t, SEED)
        mixed = by_hand.d(plan.mix(torch.cat([by_hand.real, by_hand.fake])))
        y = plan.lam * (plan.left < B) + (1 - plan.lam) * (plan.right < B)
        plain = F.softplus(-by_hand.on_real).mean() + F.softplus(by_hand.on_fake).mean()
        values.append(by_hand.term(name))
        losses.append(plain + F.binary_cross_entropy_with_logits(mixed, y) + ALL[name] * values[-1])
    assert row[name] == pytest.approx(float(torch.stack(values).mean().detach()), rel=1e-4, abs=1e-7)
    assert row["loss_d"] == pytest.approx(float(torch.stack(losses).mean().detach()), rel=1e-5)
    ours, theirs = gradients(parts.opt_d), gradients_of(losses[-1], by_hand.d)
    assert float((ours - theirs).norm() / theirs.norm()) < 1e-4

    loss, fake, z = by_hand.g_loss(lambda d: F.softplus(-d).mean())
    if name == "zcr":
        near = z + 0.03 * torch.randn(z.shape, generator=torch_stream(SEED, "zcr of g", 0, 0))
        loss = loss - ALL["zcr"] / 10 * F.mse_loss(fake, by_hand.g(near))
        assert row["zcr_g"] < 0
    assert row["loss_g"] == pytest.approx(float(loss.detach()), rel=1e-5)
    ours, theirs = gradients(parts.opt_g), gradients_of(loss, by_hand.g)
    assert float((ours - theirs).norm() / theirs.norm()) < 1e-4


def test_relativistic_pairs_with_the_consistency_target_equal_the_same_step_by_hand() -> None:
    mix = GanMixSettings(mix=Names("pixel"), mix_target="consistency", mix_weight=0.7)
    training = GanTrainingSettings(steps=1, n_dis=1, batch_size=B, lr=1e-12, lr_decay="none", loss="relativistic")
    (row,), parts = trained(training, mix, GanRegularizerSettings(diffaugment=Names(AUGMENT)))
    by_hand = ByHand(AUGMENT)
    by_hand.step(0)
    plan = make_policy(mix).draw(B, 0, SEED)
    mixed = by_hand.d(plan.mix(torch.cat([by_hand.real, by_hand.fake])))
    wanted = plan.mix(torch.cat([by_hand.on_real, by_hand.on_fake]))
    pairs = F.softplus(by_hand.on_fake - by_hand.on_real).mean()
    loss = pairs + 0.7 * F.mse_loss(mixed, wanted)
    assert row["loss_d_pairs"] == pytest.approx(float(pairs.detach()), rel=1e-5)
    assert row["loss_d"] == pytest.approx(float(loss.detach()), rel=1e-5)
    assert row.keys() & {"loss_d_real", "loss_d_fake"} == set()
    theirs = gradients_of(loss, by_hand.d)
    assert float((gradients(parts.opt_d) - theirs).norm() / theirs.norm()) < 1e-4

    real = by_hand.augmented(by_hand.batches.batch(0)[0], "real of g", 0)
    loss_g, *_ = by_hand.g_loss(lambda on_fake: F.softplus(by_hand.d.eval()(real).repeat(2) - on_fake).mean())
    assert row["loss_g"] == pytest.approx(float(loss_g.detach()), rel=1e-5)
    theirs = gradients_of(loss_g, by_hand.g)
    assert float((gradients(parts.opt_g) - theirs).norm() / theirs.norm()) < 1e-4


@pytest.mark.slow(5)
def test_the_relativistic_loss_and_the_consistency_target_do_not_run_away(tmp_path: Path, train: Any) -> None:
    """With detached targets "loss_d" was 20,000 at step 24 here, and grew."""
    flags = ["--loss", "relativistic", "--r1", "1", "--r2", "1", "--mix", "1,2,pixel", "--mix-target", "consistency"]
    flags += ["--d-width", "12", "--g-width", "12", "--batch-size", "16", "--n-dis", "1", "--latent-dim", "32"]
    flags += ["--lr-decay", "none", "--score-every", "0", "--sample-every", "0", "--steps", "24"]
    assert train(tmp_path / "run", *flags) == 0
    assert max(row["loss_d"] for row in RunFolder(tmp_path / "run").read_metrics()[15:]) < 2


def test_a_lazy_penalty_has_its_whole_weight_in_the_steps_that_compute_it() -> None:
    training = GanTrainingSettings(steps=4, n_dis=1, batch_size=B, lr=1e-12, lr_decay="none")
    rows, _ = trained(training, regularizers=GanRegularizerSettings(r1=2.0, penalty_every=3, lecam=0.3))
    assert ["r1" in row for row in rows] == [True, False, False, True]
    assert all("lecam" in row for row in rows)
    for row in rows:
        expected = row["loss_d_real"] + row["loss_d_fake"] + 3 * 2.0 * row.get("r1", 0.0) + 0.3 * row["lecam"]
        assert row["loss_d"] == pytest.approx(expected, rel=1e-5)


def test_a_skipped_step_leaves_the_averages_of_lecam_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    training = GanTrainingSettings(steps=2, n_dis=1, batch_size=B, lr=1e-12, lr_decay="none")
    _, before = trained(STILL, regularizers=GanRegularizerSettings(lecam=0.3))
    calls, randn = iter(range(99)), torch.randn
    bad = lambda *size, **kw: randn(*size, **kw) * (float("nan") if next(calls) == 2 else 1)  # noqa: E731
    parts = parts_of(training, GanMixSettings(), GanRegularizerSettings(lecam=0.3))
    monkeypatch.setattr(torch, "randn", bad)  # the latents of D's second step
    train_gan(parts, GanMixSettings(), training, LoopContext(Accelerator(cpu=True), SEED, skip_non_finite=1))
    ours, theirs = parts.regularizers.state_dict(), before.regularizers.state_dict()
    assert ours.keys() == theirs.keys() != set()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("older", [False, True])
def test_spectral_norms_at_rest_keep_their_vectors_and_give_the_same_weight(older: bool) -> None:
    torch.manual_seed(0)
    make = nn.utils.spectral_norm if older else nn.utils.parametrizations.spectral_norm
    net = nn.Sequential(make(nn.Linear(3, 4)), nn.BatchNorm1d(4))
    x = torch.randn(5, 3)
    net(x)
    vectors = {name: b.clone() for name, b in net.named_buffers() if name.endswith(("_u", "_v"))}
    assert vectors
    with spectral_norms_at_rest(net):
        net(x).sum().backward()
        assert net.training
    assert all(torch.equal(dict(net.named_buffers())[name], old) for name, old in vectors.items())
    net(x)
    assert not all(torch.equal(dict(net.named_buffers())[name], old) for name, old in vectors.items())


def test_all_together_with_mixing_in_bf16_and_slices(tmp_path: Path, train: Any) -> None:
    flags = [*ON, "--penalty-every", "2", "--mix", "1,2,pixel", "--mix-rule", "cutmix", "--loss", "hinge"]
    flags += ["--accumulate", "2", "--mixed-precision", "bf16", "--steps", "2", "--score-every", "0"]
    assert train(tmp_path / "run", *flags, "--sample-every", "0") == 0
    for row in RunFolder(tmp_path / "run").read_metrics():
        assert row.keys() >= {*ALL, "loss_d", "loss_d_mixed", "loss_g", "zcr_g"}


def test_a_resumed_run_is_bitwise_the_one_that_was_not_stopped(tmp_path: Path, train: Any) -> None:
    """LeCam's averages come back with the checkpoint."""
    flags = ["--r1", "1", "--penalty-every", "3", "--lecam", "0.3", "--diffaugment", AUGMENT, "--mix", "1,2,pixel"]
    flags += ["--steps", "4", "--checkpoint-every", "2", "--score-every", "0", "--sample-every", "0"]
    whole, resumed = tmp_path / "whole/run", tmp_path / "resumed/run"
    assert train(whole, *flags) == 0
    shutil.copytree(whole, resumed)
    shutil.rmtree(resumed / "checkpoints/step-00000004")
    assert train(resumed, *flags, "--resume") == 0
    assert (resumed / "checkpoints/step-00000004/regularizers.safetensors").is_file()
    assert_same_run(whole, resumed, scored=False)


@pytest.mark.slow(10)
@pytest.mark.parametrize(
    ("more", "slices"),
    [
        (["--loss", "relativistic", "--mix-target", "consistency", "--spectral", "partial"], 1),
        (["--loss", "hinge", "--conditional", "--mix-rule", "cutmix", "--batch-size", "16", "--clip-grad", "1"], 2),
    ],
    ids=["pairs", "classes, boxes and slices"],
)
def test_two_processes_equal_one_with_more_slices(more: list[str], slices: int, tmp_path: Path) -> None:
    """Every regularizer and mixing. Two processes warn of nothing. BatchNorm's running statistics see all slices."""
    flags = [*UNSCORED, *ON, "--penalty-every", "2", "--steps", "3", "--sample-every", "0", *more]
    outs = [tmp_path / "two/run", tmp_path / "sliced/run"]
    two = Job("gan", [*flags, "--out", str(outs[0]), "--accumulate", str(slices)], processes=2)
    sliced = Job("gan", [*flags, "--out", str(outs[1]), "--accumulate", str(2 * slices)])
    for done in run_all([two, sliced]):
        assert set(done.codes) == {0}, done.err
        assert "Warning" not in done.err
    rows, expected = (RunFolder(out).read_metrics() for out in outs)
    for row, other in zip(rows, expected, strict=True):
        assert list(row) == list(other)
        for name, value in row.items():
            assert value == (
                pytest.approx(other[name], rel=1e-4, abs=1e-6) if isinstance(value, float) else other[name]
            )
    for name in ("generator", "discriminator", "regularizers"):
        ours, theirs = (load_file(out / f"checkpoints/step-00000003/{name}.safetensors") for out in outs)
        for key in ours:
            # A bias before a BatchNorm has no gradient but rounding errors, which Adam makes steps of.
            without = name == "generator" and key.endswith(("conv1.bias", "conv2.bias", "shortcut.bias"))
            if "running" not in key and "num_batches" not in key and not without:
                torch.testing.assert_close(ours[key], theirs[key], rtol=1e-4, atol=1e-6)


# the compiler looks at G's output, which D takes in, as if it were a weight
@pytest.mark.slow(6)
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_steps_with_a_penalty_run_eagerly_and_no_graph_is_made_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # its checks cannot be traced
    graphs: list[int] = []

    def counting(graph: torch.fx.GraphModule, _: object) -> Callable[..., Any]:
        graphs.append(parts.step)
        return graph.forward

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=counting))
    torch.compiler.reset()
    training = GanTrainingSettings(steps=3, n_dis=2, batch_size=B, lr=1e-12, lr_decay="none")
    mix, on = GanMixSettings(mix=Names("1")), GanRegularizerSettings(r1=2.0, penalty_every=2, lecam=0.3)
    rows: list[dict[str, Any]] = []
    parts = parts_of(training, mix, on, compiled=True)
    train_gan(parts, mix, training, LoopContext(Accelerator(cpu=True), SEED, on_metrics=rows.extend))
    # D with mixed rows, D in the generator's step, G with and without gradients: all in the first step.
    assert graphs == [0] * 4
    for row, plain in zip(rows, trained(training, mix, on)[0], strict=True):
        for name in ("loss_d", "r1", "lecam", "loss_g"):
            assert row[name] == pytest.approx(plain[name], rel=1e-4)
