"""The training loop against SGD written by hand, and what each arm changes."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmgan import Mixed
from mmgan.classifiers import MLP
from mmgan.config.classifier import ClassifierMixSettings, ClassifierTrainingSettings
from mmgan.config.fields import Names
from mmgan.data import Images, make_batches, make_images
from mmgan.draws import global_stream, torch_stream
from mmgan.process.alone import Alone
from mmgan.supervised.loop import (
    ClassifierParts,
    learning_rate,
    make_optimizer,
    make_policy,
    soft_labels,
    train_classifier,
)
from mmgan.training.average import make_average
from mmgan.training.tasks import LoopContext, Task

CLASSES = 3
SEED = 5


def images() -> Images:
    generator = torch_stream(1, "test images")
    pixels = torch.randint(0, 256, (22, 1, 8, 8), generator=generator, dtype=torch.uint8)
    labels = torch.arange(22) % CLASSES
    return make_images("made up", "train", pixels, labels, ("a", "b", "c"))


def network(**settings: Any) -> MLP:
    with global_stream(SEED, "test weights"):
        return MLP(64, CLASSES, (12, 7), **settings)


def settings(**changes: Any) -> ClassifierTrainingSettings:
    plain = {"epochs": 3, "batch_size": 8, "lr": 0.3, "milestones": Names("2"), "weight_decay": 0.01}
    return ClassifierTrainingSettings(**(plain | changes))


def mixing(layers: str, **changes: Any) -> ClassifierMixSettings:
    return ClassifierMixSettings(mix=Names(layers), **changes)


def fresh(net: MLP, mix: ClassifierMixSettings, s: ClassifierTrainingSettings) -> ClassifierParts:
    mixed = Mixed(net, mix.mix.items, detach=mix.detach)
    average, optimizer = make_average(mixed, s.ema), make_optimizer(mixed, s)
    batches = make_batches(images(), s.batch_size, seed=SEED)
    return ClassifierParts(mixed, average, optimizer, batches, make_policy(mix), CLASSES)


def run(state: ClassifierParts, s: ClassifierTrainingSettings, **more: Any) -> list[Any]:
    rows: list[Any] = []
    own = {name: more.pop(name) for name in ("validate", "cutout_side") if name in more}
    arguments: dict[str, Any] = {"accelerator": Alone("cpu"), "log_every": 4, "on_metrics": rows.extend}
    train_classifier(state, s, LoopContext(**{"seed": SEED} | arguments | more), **own)
    return rows


def by_hand(layers: str, s: ClassifierTrainingSettings) -> tuple[list[Tensor], list[float]]:
    """Weights and losses of SGD with momentum on Equation 1, with no part of the trainer but the draws."""
    net = network().train()
    weights = list(net.parameters())
    momenta = [torch.zeros_like(w) for w in weights]
    batches = make_batches(images(), s.batch_size, seed=SEED)
    losses = []
    for step in range(9):  # 3 epochs of ceil(22 / 8) steps
        x, labels = batches.batch(step)
        assert labels is not None
        y = torch.eye(CLASSES)[labels] * (1 - s.label_smoothing) + s.label_smoothing / CLASSES
        plan = make_policy(mixing(layers)).draw(8, step, SEED)
        lam, right = plan.lam[0], plan.right

        def mix(h: Tensor, at: str, plan: Any = plan, lam: Tensor = lam, right: Tensor = right) -> Tensor:
            return lam * h + (1 - lam) * h[right] if plan.layer == at else h

        h = mix(x, "pixel").flatten(1)
        h = mix(F.leaky_relu(h @ net.layer1[0].weight.T + net.layer1[0].bias), "1")
        h = mix(F.leaky_relu(h @ net.layer2[0].weight.T + net.layer2[0].bias), "2")
        p = (h @ net.linear.weight.T + net.linear.bias).softmax(1)
        if layers != "none":
            y = lam * y + (1 - lam) * y[right]
        loss = -(y * p.log()).sum(1).mean() if s.loss == "ce" else F.binary_cross_entropy(p, y)
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for w, v, g in zip(weights, momenta, gradients, strict=True):
                v.mul_(0.9).add_(g + 0.01 * w)
                w.sub_((0.3 if step < 6 else 0.03) * v)
    return weights, losses


@pytest.mark.parametrize(
    ("layers", "changes"),
    [
        ("none", {}),
        ("pixel", {}),
        ("1,2,pixel", {}),
        ("1", {"loss": "bce"}),
        ("none", {"loss": "bce"}),
        ("2", {"label_smoothing": 0.2}),
    ],
)
def test_loop_is_sgd_by_hand(layers: str, changes: dict[str, Any]) -> None:
    s, mix = settings(**changes), mixing(layers)
    state = fresh(network(), mix, s)
    rows = run(state, s)
    weights, losses = by_hand(layers, s)
    assert [row["step"] for row in rows] == list(range(1, 10))
    assert [row["epoch"] for row in rows] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [row["images"] for row in rows] == [8 * step for step in range(1, 10)]
    assert [row["loss"] for row in rows] == pytest.approx(losses, rel=1e-5)
    for found, wanted in zip(state.network.parameters(), weights, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("decay", ["step", "cosine", "none"])
def test_learning_rates_are_torch_s_schedulers(decay: Any) -> None:
    s = settings(epochs=6, lr_decay=decay, milestones=Names("2,4"), gamma=0.5)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler: Any = {
        "step": torch.optim.lr_scheduler.MultiStepLR(optimizer, [10, 20], 0.5),
        "cosine": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30),
        "none": torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0),
    }[decay]
    wanted = []
    optimizer.param_groups[0]["lr"] = 0.3
    for _ in range(30):
        wanted.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert [learning_rate(step, 5, s) for step in range(30)] == pytest.approx(wanted)


def test_smoothed_labels_are_torch_s() -> None:
    labels, logits = torch.tensor([0, 2, 1]), torch.randn(3, 4, generator=torch_stream(0, "logits"))
    loss = -(soft_labels(labels, 4, 0.1) * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, F.cross_entropy(logits, labels, label_smoothing=0.1))


class Stopped(Exception):
    pass


@pytest.mark.parametrize("stop", [3, 5], ids=["at the end of an epoch", "inside an epoch"])
def test_resume_is_bitwise(stop: int) -> None:
    s, mix = settings(ema=0.9), mixing("1,2,pixel", layer_per="example")
    noisy = {"dropout": 0.3, "batch_norm": True, "input_noise": 0.1}
    whole = fresh(network(**noisy), mix, s)
    run(whole, s, cutout_side=3)

    first = fresh(network(**noisy), mix, s)

    def halt(step: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        run(first, s, cutout_side=3, tasks=[Task(halt, stop)])
    saved = copy.deepcopy([first.network.state_dict(), first.average.state_dict(), first.optimizer.state_dict()])
    torch.rand(17)  # whatever else draws from the global generator in between
    second = fresh(network(**noisy), mix, s)
    for part, values in zip([second.network, second.average, second.optimizer], saved, strict=True):
        part.load_state_dict(values)
    second.step = stop
    run(second, s, cutout_side=3)
    for part in ("network", "average"):
        found, wanted = getattr(second, part).state_dict(), getattr(whole, part).state_dict()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_the_loop_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    s, mix = settings(epochs=1), mixing("1")
    run(fresh(network(dropout=0.5), mix, s), s)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("detach", [False, True])
def test_detach_trains_nothing_before_the_mixed_layer(detach: bool) -> None:
    s, mix = settings(weight_decay=0.0), mixing("2", detach=detach)
    state = fresh(network(), mix, s)
    run(state, s)
    trained = state.network.state_dict()
    for name, before in network().state_dict().items():
        is_before = name.startswith(("layer1", "layer2"))
        assert torch.equal(trained[name], before) == (detach and is_before), name


def test_adversarial_training_trains_on_what_the_attack_returns() -> None:
    s, mix = settings(), mixing("none")
    seen: list[Any] = []

    def attack(net: nn.Module, x: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        seen.append((labels, torch.rand(1, generator=generator)))
        return torch.zeros_like(x)

    attacked, wanted = fresh(network(), mix, s), fresh(network(), mix, s)
    attacked.attack = attack
    run(attacked, s)
    batches = make_batches(images(), 8, seed=SEED)
    assert all(torch.equal(labels, batches.batch(i)[1]) for i, (labels, _) in enumerate(seen))
    assert len({float(draw) for _, draw in seen}) == len(seen) == 9
    run(wanted, s)
    assert not torch.equal(attacked.network.model.linear.bias, wanted.network.model.linear.bias)
    # Grey images give the first layer's weights no gradient: only the weight decay moved them.
    before, after = network().layer1[0].weight, attacked.network.model.layer1[0].weight
    ratio = after / before
    torch.testing.assert_close(ratio, ratio[0, 0].expand_as(ratio), rtol=1e-4, atol=1e-5)


def test_validation_joins_the_last_row_of_each_epoch() -> None:
    s, mix = settings(), mixing("none")
    calls: list[int] = []

    def validate(step: int) -> dict[str, float]:
        calls.append(step)
        return {"val_nll": float(step)}

    rows = run(fresh(network(), mix, s), s, validate=validate)
    assert calls == [3, 6, 9]
    assert [row.get("val_nll") for row in rows] == [None, None, 3.0, None, None, 6.0, None, None, 9.0]
