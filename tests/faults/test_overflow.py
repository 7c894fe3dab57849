"""A finite gradient whose update, second moment or average overflows: it reaches no checkpoint, score or sample."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from mmgan.errors import TrainingFailed
from mmgan.process.alone import Alone
from mmgan.runs.loading import find_fault
from mmgan.training.average import make_average
from mmgan.training.guard import Watch
from tests.faults.test_non_finite import kept
from tests.support.compare import contents
from tests.support.forks import Job, run_all
from tests.support.small_runs import CLASSIFIER, UNSCORED

GAN = [*UNSCORED, "--sample-every", "1", "--checkpoint-every", "1", "--steps", "2"]


@pytest.mark.slow(4)
def test_a_run_whose_update_overflows_stops(tmp_path: Path) -> None:
    cases = {
        "moments": ("gan", [*GAN, "--mix-weight", "1e22"], "the state of optimizer-d is not finite by step 1"),
        "later": ("gan", [*GAN, "--resume", "--mix-weight", "1e22", "--allow-changed"], "the state of optimizer-d"),
        "sgd": ("classifier", [*CLASSIFIER, "--epochs", "1", "--batch-size", "1400", "--lr", "3e38"], "not finite"),
    }
    outs = {name: tmp_path / name / "run" for name in cases}
    first = Job("gan", [*GAN, "--out", str(outs["later"])], stop_at=1)
    jobs = [Job(program, [*flags, "--out", str(outs[name])]) for name, (program, flags, _) in cases.items()]
    _, *done = run_all([first, *jobs])
    before = contents(outs["later"] / "checkpoints/step-00000001")
    for failed, (name, (_, _, expected)) in zip(done, cases.items(), strict=True):
        assert failed.code == 1, failed.err
        assert expected in failed.error
        assert kept(outs[name]) == ([1] if name == "later" else [])
        assert not list(outs[name].glob("samples/*.png")) or name == "later"
    assert find_fault(outs["later"] / "checkpoints/step-00000001") is None
    assert contents(outs["later"] / "checkpoints/step-00000001") == before


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(3, 2), nn.BatchNorm1d(2)
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.norm(self.linear(x))
        return y


def trained() -> tuple[Masked, torch.optim.Optimizer, nn.Module]:
    torch.manual_seed(0)
    net = Masked()
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    average = make_average(net, 0.5)
    assert average is not None
    return net, optimizer, average


def step(net: Masked, optimizer: torch.optim.Optimizer, average: nn.Module) -> None:
    net(torch.randn(4, 3)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    average.update_parameters(net)  # type: ignore[operator]


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("weight", "the weights of net"),
        ("running_var", "the weights of net"),
        ("exp_avg", "the state of adam"),
        ("exp_avg_sq", "the state of adam"),
        ("average", "the weights of average"),
    ],
)
def test_whatever_became_infinite_is_found_and_stays_so(place: str, what: str, value: float) -> None:
    net, optimizer, average = trained()
    watch = Watch({"net": net, "average": average}, {"adam": optimizer}, Alone("cpu"))  # type: ignore[arg-type]
    step(net, optimizer, average)
    watch.require(1)
    tensor = {
        "weight": net.linear.weight,
        "running_var": net.norm.running_var,
        "exp_avg": optimizer.state[net.linear.weight].get("exp_avg"),
        "exp_avg_sq": optimizer.state[net.linear.weight].get("exp_avg_sq"),
        "average": next(average.parameters()),
    }[place]
    assert tensor is not None
    tensor.data.view(-1)[0] = value
    for count in range(2, 6):
        with pytest.raises(TrainingFailed, match=what):
            watch.require(count)
        step(net, optimizer, average)


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9, 0.9999])
@pytest.mark.parametrize("make", [torch.optim.Adam, torch.optim.SGD])
def test_no_setting_brings_an_infinity_back(make: type[torch.optim.Optimizer], decay: float) -> None:
    """Neither a beta or momentum of any size, nor an average of any decay."""
    weight = nn.Parameter(torch.ones(3))
    more = {"betas": (decay, decay)} if make is torch.optim.Adam else {"momentum": decay, "weight_decay": 0.1}
    optimizer = make([weight], lr=0.1, fused=True, **more)  # type: ignore[call-arg]
    holder = nn.ParameterList([weight])
    average = make_average(holder, decay or 0.5)
    assert average is not None
    weight.grad = torch.ones(3)
    optimizer.step()
    average.update_parameters(holder)
    states = [value for value in optimizer.state[weight].values() if value.shape == weight.shape]
    for tensor in [weight.data, *states, next(average.parameters()).data]:
        saved = copy.deepcopy((weight.data, [s.clone() for s in states], next(average.parameters()).data.clone()))
        tensor[0] = torch.inf
        for _ in range(50):
            weight.grad = torch.ones(3)
            optimizer.step()
            average.update_parameters(holder)
            assert not tensor[0].isfinite()
        weight.data.copy_(saved[0])
        for state, value in zip(states, saved[1], strict=True):
            state.copy_(value)
        next(average.parameters()).data.copy_(saved[2])
