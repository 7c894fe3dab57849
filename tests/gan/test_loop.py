"""The training loop against the same training written out plainly."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn

from mmgan.config.fields import Names
from mmgan.config.gan import GanMixSettings, GanTrainingSettings
from mmgan.data import make_batches, make_images
from mmgan.discriminators import build_discriminator
from mmgan.draws import torch_stream
from mmgan.gan.loop import GanParts, make_optimizer, make_policy, train_gan
from mmgan.generators import build_generator
from mmgan.mixing import Mixed
from mmgan.mixing.policies import RealFakePolicy
from mmgan.training.average import make_average
from mmgan.training.tasks import LoopContext, Task

B, SEED, LATENT = 4, 3, 6


def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return build_generator("resnet", 16, 1, 4, LATENT).double(), build_discriminator("resnet", 16, 1, 4).double()


def real_batches():  # type: ignore[no-untyped-def]
    pixels = torch.randint(0, 256, (23, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    batches = make_batches(make_images("random", "train", pixels), B, seed=SEED)
    batches.batch = lambda step, f=batches.batch: (f(step)[0].double(), None)
    return batches


def noise(purpose: str, step: int, count: int) -> Tensor:
    return torch.randn(count, LATENT, generator=torch_stream(SEED, purpose, 0, step)).double()


def by_hand(settings: GanTrainingSettings, mix: GanMixSettings) -> tuple[nn.Module, nn.Module]:
    """JSGAN with Equation 6, the discriminator's blocks called one by one, nothing of mmgan's mixing or losses used."""
    g, d = networks()
    adam = {"lr": settings.lr, "betas": (settings.beta1, settings.beta2)}
    opt_g, opt_d = torch.optim.Adam(g.parameters(), **adam), torch.optim.Adam(d.parameters(), **adam)
    batches = real_batches()
    policy = RealFakePolicy(mix.mix, mix.alpha)
    for step in range(settings.steps):
        for opt in (opt_g, opt_d):
            opt.param_groups[0]["lr"] = settings.lr * (1 - step / settings.steps)
        for t in range(step * settings.n_dis, (step + 1) * settings.n_dis):
            real = batches.batch(t)[0]
            fake = g(noise("latents of d", t, B)).detach()
            h = torch.cat([real, fake])
            plan = policy.draw(B, t, SEED)
            for name, stage in [("pixel", nn.Identity()), *d.named_children()]:
                h = stage(h)
                if name in (plan.layer, f"block{plan.layer}"):
                    lam = plan.lam.double().view(-1, 1, 1, 1)
                    h = torch.cat([h, lam * h[plan.left] + (1 - lam) * h[plan.right]])
            logits = h.squeeze(1)
            loss = F.softplus(-logits[:B]).mean() + F.softplus(logits[B : 2 * B]).mean()
            if mix.mix != "none":
                is_real = (torch.arange(2 * B) < B).double()
                y = plan.lam * is_real[plan.left] + (1 - plan.lam) * is_real[plan.right]
                y = torch.zeros_like(y) if mix.mix_target == "fake" else y
                loss = loss + mix.mix_weight * F.binary_cross_entropy_with_logits(logits[2 * B :], y)
            opt_d.zero_grad()
            loss.backward()
            opt_d.step()
        opt_g.zero_grad()
        F.softplus(-d(g(noise("latents of g", step, settings.g_batch_factor * B)))).mean().backward()
        opt_g.step()
    return g, d


def make_parts(
    g: nn.Module, mixed: Mixed, mix: GanMixSettings, settings: GanTrainingSettings, average: Any = None
) -> GanParts:
    optimizers = make_optimizer(g, settings), make_optimizer(mixed, settings)
    return GanParts(g, mixed, average, *optimizers, real_batches(), make_policy(mix), LATENT)


def train(settings: GanTrainingSettings, mix: GanMixSettings, tasks: tuple[Task, ...] = ()) -> GanParts:
    g, d = networks()
    mixed = Mixed(d, mix.mix)
    average = make_average(g, settings.ema)
    accelerator = Accelerator(cpu=True)
    parts = make_parts(g, mixed, mix, settings, average)
    train_gan(parts, mix, settings, LoopContext(accelerator, SEED, log_every=2, tasks=tasks))
    return parts


@pytest.fixture(autouse=True)
def _double_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latents in float64, so that two ways of adding the same numbers agree closely."""
    randn = torch.randn
    monkeypatch.setattr(
        torch, "randn", lambda *size, **kw: randn(*size, **kw).double() if kw.get("device") else randn(*size, **kw)
    )


def same(state: GanParts, g: nn.Module, d: nn.Module) -> None:
    for ours, theirs in ((state.generator, g), (state.discriminator, d)):
        for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("mix", ["none", "1,2,pixel"])
@pytest.mark.parametrize("label", ["paper", "fake"])
def test_three_steps_equal_the_same_training_by_hand(mix: str, label: str) -> None:
    settings = GanTrainingSettings(steps=3, n_dis=2, batch_size=B, lr=1e-3)
    mixing = GanMixSettings(mix=Names(mix), mix_target=label, mix_weight=0.7)  # type: ignore[arg-type]
    same(train(settings, mixing), *by_hand(settings, mixing))


def test_the_average_is_the_exponential_average_of_the_generator() -> None:
    settings = GanTrainingSettings(steps=4, n_dis=1, batch_size=B, lr=1e-3, ema=0.8)
    seen: list[dict[str, Tensor]] = []
    tasks = (Task(lambda step: seen.append(copy.deepcopy(state_box[0].state_dict())), 1),)
    state_box: list[nn.Module] = []
    original = networks

    def spy() -> tuple[nn.Module, nn.Module]:
        g, d = original()
        state_box.append(g)
        return g, d

    globals()["networks"] = spy
    try:
        state = train(settings, GanMixSettings(), tasks)
    finally:
        globals()["networks"] = original
    expected = seen[0]
    for later in seen[1:]:
        expected = {k: 0.8 * v + 0.2 * later[k] if v.is_floating_point() else v for k, v in expected.items()}
    assert state.average is not None
    for name, value in state.average.module.named_parameters():
        torch.testing.assert_close(value, expected[name])


def test_mixing_starts_and_pauses_when_told() -> None:
    rows: list[dict[str, object]] = []
    settings = GanTrainingSettings(steps=4, n_dis=2, batch_size=B)
    g, d = networks()
    mixed = Mixed(d, "1,2")
    mix = GanMixSettings(mix=Names("1,2"), mix_start=2, mix_every=2)
    context = LoopContext(Accelerator(cpu=True), SEED, log_every=3, on_metrics=rows.extend)
    train_gan(make_parts(g, mixed, mix, settings), mix, settings, context)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    layers = [row["layers"] for row in rows]
    assert layers[:2] == [["none", "none"]] * 2
    assert all(first in ("1", "2") and second == "none" for first, second in layers[2:])
    assert [row["loss_d_mixed"] == 0 for row in rows] == [True, True, False, False]


@pytest.mark.parametrize("mix", ["1", "2", "pixel"])
def test_layers_before_k_see_2b_rows_and_those_after_it_3b(mix: str) -> None:
    g, d = networks()
    mixed = Mixed(d, mix)
    mixed.train().check(torch.zeros(2 * B, 1, 16, 16, dtype=torch.float64))  # the look has forwards of its own
    rows: dict[str, list[int]] = {}
    for name, block in d.named_children():
        block.register_forward_pre_hook(lambda m, args, name=name: rows.setdefault(name, []).append(len(args[0])))
    settings = GanTrainingSettings(steps=1, n_dis=1, batch_size=B, g_batch_factor=1)
    mixing = GanMixSettings(mix=Names(mix))
    train_gan(make_parts(g, mixed, mixing, settings), mixing, settings, LoopContext(Accelerator(cpu=True), SEED))
    k = 0 if mix == "pixel" else int(mix)
    for i, name in enumerate(["block1", "block2", "block3", "block4"], 1):
        # One forward of the discriminator's step, one of the generator's: no block runs more often.
        assert rows[name] == [2 * B if i <= k else 3 * B, B]
