"""AdaMix: its losses and gradients by hand, what a run leaves behind, resuming, skipped steps, two processes."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mmgan import Mixed, PermutationPolicy
from mmgan.classifiers import MLP
from mmgan.config.classifier import ClassifierMixSettings, ClassifierTrainingSettings
from mmgan.config.fields import Names
from mmgan.data import make_batches
from mmgan.draws import global_stream
from mmgan.losses import soft_cross_entropy
from mmgan.process.alone import Alone
from mmgan.runs.folder import RunFolder
from mmgan.supervised import loop
from mmgan.supervised.adamix import (
    HIDDEN,
    AdaMix,
    IntrusionDiscriminator,
    PolicyRegionGenerator,
    WithFeatures,
    adamix_losses,
    adamix_step,
    draw_weights,
    half_pairs,
)
from mmgan.supervised.intervals import judged_intrusions, learned_intervals
from mmgan.supervised.loop import ClassifierParts, make_optimizer, make_policy, train_classifier
from mmgan.supervised.networks import load_classifier
from mmgan.training.tasks import LoopContext
from tests.supervised.test_loop import CLASSES, SEED, images
from tests.support.forks import Job, run_one
from tests.support.two_adamix import gradients, step_of

pytestmark = pytest.mark.slow(3)

Train = Callable[..., int]
ADAMIX = ("--mix", "pixel", "--lam", "adamix")


def arm(layers: str = "pixel", **settings: Any) -> AdaMix:
    with global_stream(SEED, "test weights"):
        mixed = Mixed(WithFeatures(MLP(64, CLASSES, (12, 7), **settings)), layers)
        generator = PolicyRegionGenerator(MLP(64, HIDDEN, (9,), **settings))
        made = AdaMix(mixed, generator, IntrusionDiscriminator(7, CLASSES))
        for one in (generator.linear, generator.body.linear, *made.discriminator):
            nn.init.normal_(one.weight, std=0.3)  # so that intervals differ and gradients are no rounding errors
    return made


def batch(b: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(b, 1, 8, 8, generator=generator, dtype=torch.float64) * 2 - 1
    return x, torch.eye(CLASSES, dtype=torch.float64)[torch.arange(b) % CLASSES]


def drawn(layer: str, b: int) -> Any:
    return PermutationPolicy(layer, 1.0, "uniform", "example").draw(b, 4, SEED)


def linear(h: Tensor, map: Any) -> Tensor:
    return h @ map.weight.T + map.bias


@pytest.mark.parametrize("layer", ["pixel", "1", "2"])
@pytest.mark.parametrize("b", [6, 7])
def test_losses_by_hand(layer: str, b: int) -> None:
    made, (x, y) = arm(layer).double().train(), batch(b)
    plan, m = drawn(layer, b), b // 2
    pairs = half_pairs(plan)
    weights = draw_weights(x[:m], SEED, "pair view", 0, 4)
    losses = adamix_losses(soft_cross_entropy, made(x, pairs, weights), pairs, y)

    net, generator = made.network.model, made.generator
    act = lambda h: torch.where(h > 0, h, 0.01 * h)  # noqa: E731
    real, mixed, intrusion = [], [], []

    def forward(h: Tensor, partner: Tensor | None, lam: Any) -> tuple[Tensor, Tensor]:
        for name, map in (("pixel", None), ("1", net.layer1[0]), ("2", net.layer2[0])):
            h = h if map is None else act(linear(h, map))
            if partner is not None:
                partner = partner if map is None else act(linear(partner, map))
                h = lam * h + (1 - lam) * partner if name == layer else h
        return linear(h, net.linear).softmax(0), linear(linear(h, made.discriminator[0]), made.discriminator[1])

    for i in range(b):
        p, judged = forward(x[i].flatten(), None, None)
        real.append(-(y[i] * p.log()).sum())
        intrusion.append(-judged.softmax(0)[1].log())
    for i in range(m):
        j = int(plan.right[i])
        seen = ((weights[0, i] * x[i] + weights[1, i] * x[j]) / 2).flatten()
        outputs = linear(act(linear(seen, generator.body.layer1[0])), generator.body.linear)
        e = linear(outputs, generator.linear).exp()
        lam = (e[0] + plan.lam[i] * e[1]) / e.sum()
        p, judged = forward(x[i].flatten(), x[j].flatten(), lam)
        mixed.append(-((lam * y[i] + (1 - lam) * y[j]) * p.log()).sum())
        intrusion.append(-judged.softmax(0)[0].log())
    by_hand = [torch.stack(terms).mean() for terms in (real, mixed, intrusion)]
    torch.testing.assert_close([losses.real, losses.mixed, losses.intrusion], by_hand, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(losses.total, torch.stack(by_hand).sum(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layer", ["pixel", "1"])
def test_gradients_of_all_three_networks_by_finite_differences(layer: str) -> None:
    made, (x, y) = arm(layer).double().train(), batch(6)
    pairs = half_pairs(drawn(layer, 6))
    weights = draw_weights(x[:3], SEED, "pair view", 0, 4)

    labels = pairs.with_interval(*(one.detach() for one in made(x, pairs, weights)[2:])).mix(torch.cat([y, y[:3]]))

    def total(*_: Tensor) -> Tensor:  # the mixed labels stay what they are at the start
        out = made(x, pairs, weights)
        p, judged = out.logits.log_softmax(1), out.judged.log_softmax(1)
        intrusion = -(judged[:6, 1].sum() + judged[6:, 0].sum()) / 9
        return intrusion - (y * p[:6]).sum(1).mean() - (labels * p[6:]).sum(1).mean()

    by = (made.generator.linear.weight, made.generator.body.layer1[0].bias, made.network.model.layer1[0].bias)
    by += (made.discriminator[1].weight,)
    assert torch.autograd.gradcheck(total, by)
    losses = adamix_losses(soft_cross_entropy, made(x, pairs, weights), pairs, y)
    found, wanted = torch.autograd.grad(losses.total, by), torch.autograd.grad(total(), by)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-14)
    assert all(gradient.any() for gradient in found)


def test_the_interval_starts_at_a_third_and_stays_in_the_unit_interval() -> None:
    generator = PolicyRegionGenerator(MLP(64, HIDDEN, (9,)))
    x = batch(40)[0].float()
    low, length = generator(x, x.flip(0), draw_weights(x, 0, "t", 0, 0))
    assert low.allclose(torch.tensor(1 / 3), atol=1e-3)
    assert length.allclose(torch.tensor(1 / 3), atol=1e-3)
    generator.linear.weight.data *= 1e6
    low, length = generator(x, x.flip(0), draw_weights(x, 0, "t", 0, 0))
    assert low.min() >= 0
    assert length.min() >= 0
    assert (low + length).max() <= 1 + 1e-6
    assert low.std() > 0.01


def test_weights_are_a_truncated_normal_and_pure() -> None:
    like = torch.empty(60, 3, 16, 16).to(memory_format=torch.channels_last)
    one, again, other = (draw_weights(like, 1, "pair view", 0, step) for step in (5, 5, 6))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.abs().max() <= 2
    assert one.mean().abs() < 0.02
    assert one.std() == pytest.approx(0.8796, abs=0.01)  # of a standard normal cut at 2
    assert not torch.equal(one[0], one[1])


def test_ranks_and_steps_see_their_pairs_with_weights_of_their_own() -> None:
    made, (x, y) = arm().double().train(), batch(6)
    named = [(0, 4), (0, 4), (1, 4), (0, 5)]  # rank, step
    a, again, other_rank, other_step = (
        float(adamix_step(made, soft_cross_entropy, x, y, drawn("pixel", 6), SEED, rank, step)[1]["policy_a"].detach())
        for rank, step in named
    )
    assert a == again
    assert len({a, other_rank, other_step}) == 3


def fresh(settings: ClassifierTrainingSettings, made: AdaMix) -> ClassifierParts:
    mix = ClassifierMixSettings(mix=Names("pixel"), lam="adamix")
    optimizer, batches = make_optimizer(made, settings), make_batches(images(), settings.batch_size, seed=SEED)
    return ClassifierParts(made, None, optimizer, batches, make_policy(mix), CLASSES, adamix=made)


def state(parts: ClassifierParts) -> list[Tensor]:
    momenta = [entry["momentum_buffer"] for entry in parts.optimizer.state.values()]
    return [tensor.clone() for tensor in (*parts.network.state_dict().values(), *momenta)]


def test_a_step_that_is_not_finite_changes_nothing_of_the_three_networks() -> None:
    settings = ClassifierTrainingSettings(epochs=1, batch_size=8, lr=0.3)
    made = arm(batch_norm=True)
    parts, rows, before = fresh(settings, made), [], []

    def spoil(*arguments: Any) -> Any:
        y = loop.soft_labels.original(*arguments)  # type: ignore[attr-defined]
        before.append(state(parts))
        return y * float("nan") if len(before) == 2 else y

    with mock.patch.object(loop, "soft_labels", spoil) as patched:
        patched.original = ORIGINAL
        context = LoopContext(Alone("cpu"), SEED, on_metrics=rows.extend, skip_non_finite=1)  # type: ignore[arg-type]
        train_classifier(parts, settings, context)
    assert [row.get("skipped", 0) for row in rows] == [0, 1, 0]
    assert rows[1]["non_finite"] == "loss_real and loss_mixed are not finite on process 0"
    assert all(torch.equal(a, b) for a, b in zip(before[1], before[2], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(before[0], before[1], strict=True))
    assert all(tensor.isfinite().all() for tensor in state(parts))


ORIGINAL = loop.soft_labels


def test_held_out_intervals_and_judgements_by_hand() -> None:
    made, split = arm().eval(), images()
    found = learned_intervals(made, split, Alone("cpu"), 2)  # type: ignore[arg-type]
    again = learned_intervals(copy.deepcopy(made), split, Alone("cpu"), 2)  # type: ignore[arg-type]
    assert found == again
    judged = judged_intrusions(made, split, Alone("cpu"), 2)  # type: ignore[arg-type]
    from mmgan.draws import numpy_stream

    right = numpy_stream(2, "held-out pairs").permutation(22)
    u = torch.from_numpy(numpy_stream(2, "held-out lam").uniform(size=22)).float()
    x = split.pixels / 127.5 - 1
    with torch.no_grad():
        low, length = made.generator(x, x[right], draw_weights(x, 2, "held-out pair view", 0, 0))
        for name, lam in (("adamix", low + length * u), ("uniform", u), ("real", torch.ones(22))):
            lam = lam.view(-1, 1, 1, 1)
            mixed = lam * x + (1 - lam) * x[right]
            p = made.discriminator(made.network.model.classifier.features(mixed)).softmax(1)[:, 1]
            assert judged[name] == pytest.approx(float(p.mean()), rel=1e-5)
            assert judged[f"{name}_share"] == pytest.approx(100 * float((p > 0.5).float().mean()))
    assert found["policy_a"] == pytest.approx(float(low.mean()), rel=1e-5)
    assert found["policy_d"] == pytest.approx(float(length.mean()), rel=1e-5)
    labels = split.labels
    assert labels is not None
    for i in range(CLASSES):
        for j in range(CLASSES):
            of = (labels == i) & (labels[right] == j)
            assert found["by_pair"]["pairs"][i][j] == int(of.sum())
            a, d = (found["by_pair"][name][i][j] for name in ("a", "d"))
            assert (a is None) == (not of.any())
            if of.any():
                assert (a, d) == (
                    pytest.approx(float(low[of].mean()), abs=1e-4),
                    pytest.approx(float(length[of].mean()), abs=1e-4),
                )


def test_held_out_numbers_are_the_same_for_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmgan.supervised import intervals

    made, split = arm().eval(), images()
    monkeypatch.setattr(intervals, "CHUNK", 5)
    monkeypatch.setattr(intervals, "frozen_copy", lambda network, _: copy.deepcopy(network))
    whole = intervals.judged_intrusions(made, split, Alone("cpu"), 2)  # type: ignore[arg-type]
    tables: list[Tensor] = []

    class Rank(Alone):
        num_processes = 2

        def reduce(self, tensor: Tensor, reduction: str) -> Tensor:
            tables.append(tensor.clone())
            return torch.stack(tables).sum(0)

    for rank in (0, 1):
        one: Any = Rank("cpu")
        one.process_index = rank
        found = intervals.judged_intrusions(made, split, one, 2)
    assert found == whole
    assert not (tables[0] * tables[1]).any()  # each row is one process's


@pytest.mark.slow(3)
def test_what_a_run_leaves_behind_and_its_resumption(train: Train, tmp_path: Path) -> None:
    whole, cut = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "cut")
    flags = (*ADAMIX, "--dropout", "0.2", "--batch-norm", "--keep-checkpoints", "9", "--ema", "0.5")
    assert train(whole.path, "--epochs", "3", *flags) == 0
    stems = ("classifier", "classifier-average", "intrusion-discriminator", "policy-region-generator")
    last = whole.checkpoints / "step-00000018"
    assert sorted(path.stem for path in last.glob("*.safetensors")) == sorted(stems)
    rows, scored = whole.read_metrics(), whole.read_scores()["last"]
    for row in rows:
        assert row["loss"] == pytest.approx(row["loss_real"] + row["loss_mixed"] + row["loss_intrusion"], rel=1e-5)
        assert 0 < row["policy_a"] < row["policy_a"] + row["policy_d"] < 1
        assert 0 < row["judged_real"] < 1
        assert ("val_by_pair" in row) == ("val_policy_a" in row) == (row["step"] % 6 == 0)
    assert scored["adamix"]["policy_a"] == rows[-1]["val_policy_a"]
    assert sum(map(sum, scored["adamix"]["by_pair"]["pairs"])) == scored["adamix"]["judged_real"]["pairs"] == 300
    page = whole.report_file.read_text()
    assert "AdaMix" in page
    assert "alpha 2" not in page

    trained = load_classifier(whole, "last", 10)  # a plain classifier, of the average
    assert isinstance(trained.network, MLP)
    assert trained.network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)

    shutil.copytree(whole.path, cut.path)
    for name in ("step-00000012", "step-00000018"):
        shutil.rmtree(cut.checkpoints / name)
    cut.scores_file.unlink()
    assert train(cut.path, "--epochs", "3", *flags, "--resume") == 0
    assert cut.read_metrics() == rows
    assert cut.read_scores() == whole.read_scores()
    for stem in stems:
        a, b = (load_file(f.checkpoints / last.name / f"{stem}.safetensors") for f in (cut, whole))
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    "flags",
    [
        ("--mix", "1,pixel", "--lam", "adamix", "--adamix-hidden", "--detach", "--cutout", "4"),
        (*ADAMIX, "--adversarial", "pgd", "--pgd-steps", "1", "--loss", "bce", "--label-smoothing", "0.1"),
        (*ADAMIX, "--mixed-precision", "bf16", "--clip-grad", "1", "--batch-size", "201"),
    ],
    ids=lambda flags: " ".join(flags[-2:]),
)
def test_with_other_settings(train: Train, tmp_path: Path, flags: tuple[str, ...]) -> None:
    assert train(tmp_path / "run", "--epochs", "1", *flags) == 0
    assert RunFolder(tmp_path / "run").read_scores()["last"]["test"]["examples"] == 360


@pytest.mark.slow(1)
def test_two_processes_equal_one_on_the_joined_batch(tmp_path: Path) -> None:
    out = tmp_path / "two.pt"
    done = run_one(Job("tests.support.two_adamix", [str(out)], processes=2))
    assert done.codes == [0, 0], done.err
    one = gradients(lambda made, step: torch.stack([step_of(made, step, rank) for rank in range(2)]).mean())
    assert sum(bool(value.any()) for value in one.values()) > 0.9 * len(one)
    torch.testing.assert_close(torch.load(out), one, rtol=1e-10, atol=1e-12)
