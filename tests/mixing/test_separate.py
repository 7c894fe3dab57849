"""Networks whose rows see each other: refused, or given passes of their own."""

import copy

import pytest
import torch
from torch import Tensor, nn

from mmgan import Mixed, MixPlan, RealFakePolicy
from mmgan.errors import UserError
from tests.support.by_hand import CASES, mixed_rows


def normed() -> nn.Sequential:
    """BatchNorm before and after each layer, and a layer that works in place on what was tapped."""
    blocks: list[nn.Module] = []
    for before, after in [(5, 6), (6, 7), (7, 4)]:
        blocks += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*blocks, nn.Linear(4, 1))


LAYERS = ["pixel", *map(str, range(10))]


def by_hand(model: nn.Sequential, x: Tensor, plan: MixPlan) -> Tensor:
    """Real alone, fake alone, mixed alone."""
    k = 0 if plan.layer == "pixel" else int(plan.layer) + 1
    head, tail = model[:k], model[k:]
    real, fake = (head(half.clone()) for half in x.chunk(2))
    logits = [tail(real.clone()), tail(fake.clone())]
    return torch.cat([*logits, tail(mixed_rows(torch.cat([real, fake]), plan))])


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("layer", LAYERS)
def test_equal_to_separate_batches(layer: str, train: bool) -> None:
    """Logits, all gradients, and the running statistics and counters that the passes leave."""
    torch.manual_seed(0)
    model = normed().double().train(train)
    twin = copy.deepcopy(model)
    x = torch.randn(10, 5, dtype=torch.float64, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    plan = RealFakePolicy(layer, alpha=1.0).draw(5)
    got = Mixed(model, layer, passes="separate")(x, plan=plan, mode="append")
    wanted = by_hand(twin, y, plan)
    torch.testing.assert_close(got, wanted)
    weights = torch.linspace(-1, 1, 15, dtype=torch.float64)[:, None]
    (weights * got).sum().backward()
    (weights * wanted).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    for (name, p), q in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, msg=name)
    torch.testing.assert_close(dict(model.named_buffers()), dict(twin.named_buffers()))
    assert all(module.track_running_stats for module in model if isinstance(module, nn.BatchNorm1d))


def test_separate_passes_are_needed_here() -> None:
    """The joint forward of the same plan gives other logits, or the test above would show nothing."""
    model, x, plan = normed().double().eval(), torch.randn(10, 5, dtype=torch.float64), RealFakePolicy("2").draw(5)
    joint = Mixed(copy.deepcopy(model), "2")(x, plan=plan, mode="append")
    separate = Mixed(copy.deepcopy(model).train(), "2", passes="separate")(x, plan=plan, mode="append")
    assert (joint - separate).abs().max() > 1e-3


@pytest.mark.parametrize("layer", ["pixel", "3"])
def test_detach_with_separate_passes(layer: str) -> None:
    model, x = normed(), torch.randn(8, 5, requires_grad=True)
    net = Mixed(model, layer, detach=True, passes="separate")
    net(x, plan=RealFakePolicy(layer).draw(4), mode="append")[8:].sum().backward()  # the mixed rows' logits alone
    assert x.grad is None or not x.grad.any()
    assert model[9].weight.grad.any()


def test_append_over_batch_norm_in_training_mode_is_refused_by_name() -> None:
    model, x = CASES["resnet18"].build(), torch.randn(4, 3, 16, 16)
    net, plan = Mixed(model, "layer1"), RealFakePolicy("layer1").draw(2)
    with pytest.raises(UserError, match=r"'bn1', a BatchNorm in training mode: use Mixed\(\.\.\., passes='separate'\)"):
        net(x, plan=plan, mode="append")
    net.eval()
    assert net(x, plan=plan, mode="append").shape == (6, 3)
    model.layer3[0].bn2.train()
    with pytest.raises(UserError, match=r"'layer3\.0\.bn2'"):
        net(x, plan=plan, mode="append")
    net.train()
    assert net(x, plan=plan).shape == (4, 3), "replacing keeps the batch as large as it was"
    assert net(x).shape == (4, 3)


def test_batch_norm_without_running_statistics_is_refused_in_evaluation_too() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, track_running_stats=False)).eval()
    with pytest.raises(UserError, match="'1', a BatchNorm"):
        Mixed(model, "0")(torch.randn(4, 3), plan=RealFakePolicy("0").draw(2), mode="append")


def test_separate_takes_the_rows_of_its_plan() -> None:
    net = Mixed(normed(), "3", passes="separate")
    with pytest.raises(UserError, match="the plan is for 6 rows, but the batch has 7"):
        net(torch.randn(7, 5), plan=RealFakePolicy("3").draw(3), mode="append")


def test_a_failing_pass_leaves_batch_norm_as_it_was() -> None:
    model = normed()
    net, x = Mixed(model, "0", passes="separate"), torch.randn(8, 5)
    plan = RealFakePolicy("0").draw(4)
    calls = []

    def fail(module: nn.Module, args: object) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("third pass")

    model[0].register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="third pass"):
        net(x, plan=plan, mode="append")
    assert all(module.track_running_stats for module in model if isinstance(module, nn.BatchNorm1d))
    assert net(x).shape == (8, 1)
