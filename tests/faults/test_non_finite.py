"""NaN in a loss, in a gradient and in the generator, on one process of two: it reaches nothing that is kept."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mmgan.config.classifier import ClassifierTrainingSettings
from mmgan.config.gan import GanTrainingSettings
from mmgan.errors import TrainingFailed
from mmgan.gan import loop as gan
from mmgan.process.alone import Alone
from mmgan.runs.folder import RunFolder
from mmgan.supervised import loop as supervised
from mmgan.training.guard import Guard, RunningStatistics
from mmgan.training.metrics import Metrics
from mmgan.training.tasks import LoopContext
from tests.support.two_ranks import CASES, run_cases

NAN = float("nan")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """All cases, each in two processes; the outcomes of both."""
    folder = tmp_path_factory.mktemp("non-finite")
    for name, done in run_cases(folder, CASES).items():
        assert done.codes == [0, 0], done.err
        (folder / f"{name}.log").write_text(done.out)
    return folder, [
        {name: json.loads((folder / f"{name}-{rank}.json").read_text()) for name in CASES} for rank in (0, 1)
    ]


def kept(run: Path) -> list[int]:
    """The steps of the checkpoints, in which all numbers are finite."""
    for file in run.glob("checkpoints/*/*.safetensors"):
        assert [name for name, tensor in load_file(file).items() if not tensor.isfinite().all()] == [], file
    for file in run.glob("checkpoints/*/*.pt"):
        state = torch.load(file, weights_only=True)["state"]
        assert all(value.isfinite().all() for entry in state.values() for value in entry.values()), file
    return sorted(int(path.name.removeprefix("step-")) for path in run.glob("checkpoints/step-*"))


@pytest.mark.slow(10)
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("loss", "loss_d_mixed is not finite on process 1 at step 5: training stopped"),
        ("gradient", "the gradient of the discriminator is not finite on process 1 at step 5: training stopped"),
        ("generator", "loss_d_fake and loss_d_mixed are not finite on process 1 at step 5: training stopped"),
        ("too-often", "loss_d_mixed is not finite on process 1 at step 7: training stopped after 2 skipped steps"),
        ("classifier", "loss is not finite on process 1 at step 5: training stopped"),
    ],
)  # fmt: skip
def test_the_run_stops(outcomes: tuple[Path, list[dict[str, Any]]], name: str, message: str) -> None:
    folder, ranks = outcomes
    assert [rank[name]["code"] for rank in ranks] == [1, 1]
    (error,) = ranks[0][name]["errors"]
    assert error.startswith(f"error: {message}")
    assert error.endswith("earlier checkpoints are intact; a smaller --lr or --clip-grad may help")
    assert ranks[1][name]["errors"] == []
    rows = RunFolder(folder / name).read_metrics()
    assert [row["step"] for row in rows] == list(range(1, 7 if name == "too-often" else 5))
    every = name == "classifier"  # which has no checkpoint before its last step
    assert kept(folder / name) == ([] if every else [4, 6] if name == "too-often" else [2, 4])


@pytest.mark.slow(1)
def test_a_step_is_skipped_by_flag(outcomes: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, ranks = outcomes
    assert [rank["skipped"]["code"] for rank in ranks] == [0, 0]
    rows = RunFolder(folder / "skipped").read_metrics()
    assert [row["step"] for row in rows] == list(range(1, 9))
    assert [row.get("skipped", 0) for row in rows] == [0, 0, 0, 0, 1, 0, 0, 0]
    assert rows[4]["non_finite"] == "loss_d_fake and loss_d_mixed are not finite on process 1"
    assert rows[4].keys() & {"loss_d", "loss_d_real", "loss_d_fake", "loss_g"} == {"loss_d_real", "loss_g"}
    assert kept(folder / "skipped") == [6, 8]
    said = (folder / "skipped.log").read_text()
    assert "step 5: loss_d_fake and loss_d_mixed are not finite on process 1; updates skipped: 1" in said

    assert [rank["classifier-skipped"]["code"] for rank in ranks] == [0, 0]
    rows = RunFolder(folder / "classifier-skipped").read_metrics()
    assert [row.get("skipped", 0) for row in rows] == [0, 0, 0, 0, 1] + [0] * 7
    assert kept(folder / "classifier-skipped") == [12]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 1))


def state_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    states = [value for entry in optimizer.state.values() for value in entry.values()]
    return [tensor.clone() for tensor in [*model.state_dict().values(), *states]]


OPTIMIZERS = [
    lambda net: gan.make_optimizer(net, GanTrainingSettings(beta1=0.5)),
    lambda net: supervised.make_optimizer(net, ClassifierTrainingSettings(nesterov=True)),
    lambda net: supervised.make_optimizer(net, ClassifierTrainingSettings(momentum=0.0)),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("bad_step", [0, 2])
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_skipped_update_changes_no_bit(make: Any, bad_step: int, clip: float) -> None:
    def train(faulty: bool) -> list[torch.Tensor]:
        net = network()
        optimizer = make(net)
        guard = Guard("net", net, optimizer, Alone("cpu"), clip)  # type: ignore[arg-type]
        statistics = RunningStatistics([net])
        for step in range(4):
            x = torch.randn(6, 4, generator=torch.Generator().manual_seed(step))
            if step == bad_step and faulty:
                x[3, 1] = NAN
            elif step == bad_step:
                continue
            statistics.keep()
            guard.update(net(x).square().mean())
            assert int(guard.skipped) == int(guard.local) == (faulty and step == bad_step)
            statistics.restore(guard.skipped > 0)
            guard.clear()
        return state_of(net, optimizer)

    assert all(torch.equal(a, b) for a, b in zip(train(True), train(False), strict=True))


@pytest.mark.parametrize("make", OPTIMIZERS[:2])
def test_a_guarded_update_is_the_plain_one(make: Any) -> None:
    nets = [network(), network()]
    optimizers = [make(net) for net in nets]
    guard = Guard("net", nets[0], optimizers[0], Alone("cpu"), 0.0)  # type: ignore[arg-type]
    for step in range(3):
        x = torch.randn(6, 4, generator=torch.Generator().manual_seed(step))
        guard.update(nets[0](x).square().mean())
        optimizers[1].zero_grad()
        nets[1](x).square().mean().backward()
        optimizers[1].step()
    assert all(
        torch.equal(a, b)
        for a, b in zip(state_of(nets[0], optimizers[0]), state_of(nets[1], optimizers[1]), strict=True)
    )


def test_a_loss_that_overflows_while_its_gradient_does_not() -> None:
    net = network()
    before = [parameter.clone() for parameter in net.parameters()]
    guard = Guard("net", net, OPTIMIZERS[0](net), Alone("cpu"), 0.0)  # type: ignore[arg-type]
    guard.update(net(torch.randn(6, 4)).mean() + float("inf"))
    assert int(guard.skipped) == 1
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_a_loss_scale_of_fp16_that_collapses_ends_the_run() -> None:
    accelerator: Any = Alone("cpu")
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**-13)
    metrics = Metrics(LoopContext(accelerator), [])
    metrics.add({"step": 1}, {"loss": torch.tensor(1.0)})
    metrics.flush()
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**-15)
    metrics.add({"step": 2}, {"loss": torch.tensor(1.0)})
    with pytest.raises(TrainingFailed, match=r"loss scale of fp16 fell to 3.05176e-05 by step 2"):
        metrics.flush()


def test_nothing_of_a_step_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tensor is read by the host in an update or in noting it; the flush reads once."""
    reads: list[str] = []
    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "cpu", "numpy"):
        monkeypatch.setattr(torch.Tensor, name, _noting(reads, name, getattr(torch.Tensor, name)))
    net = network()
    guard = Guard("net", net, OPTIMIZERS[0](net), Alone("cpu"), 1.0)  # type: ignore[arg-type]
    statistics = RunningStatistics([net])
    metrics = Metrics(LoopContext(Alone("cpu")), [guard])  # type: ignore[arg-type]
    reads.clear()
    for step in range(3):
        statistics.keep()
        loss = net(torch.randn(6, 4)).square().mean()
        guard.update(loss)
        statistics.restore(guard.skipped > 0)
        metrics.add({"step": step}, {"loss": loss})
    assert reads == []
    metrics.flush()
    assert "cpu" in reads


def _noting(reads: list[str], name: str, original: Any) -> Any:
    def noting(*args: Any) -> Any:
        reads.append(name)
        return original(*args)

    return noting
