"""Every setting of both programs: after `--resume --allow-changed` it has effect, or it was refused."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import torch
from torch import nn

from mmgan.config.classifier import ClassifierConfig, ClassifierTrainingSettings
from mmgan.config.gan import GanConfig, GanTrainingSettings
from mmgan.config.parse import flat
from mmgan.config.shared import DeviceSettings, RunSettings
from mmgan.errors import UserError
from mmgan.gan import loop as gan
from mmgan.process.accelerator import make_accelerator
from mmgan.runs.checkpoints import save_checkpoint
from mmgan.runs.facts import IRRELEVANT, list_changes, run_facts
from mmgan.runs.loading import load_optimizer
from mmgan.supervised import loop as supervised
from tests.support.forks import Job, run_all
from tests.support.small_runs import CLASSIFIER

FREE = {*IRRELEVANT, *(f.name for f in fields(RunSettings))} - {"seed"}
"""They decide no number, and may change freely."""


@pytest.mark.parametrize("cls", [GanConfig, ClassifierConfig])
def test_every_change_is_noticed_unless_it_may_be_made_freely(cls: type[Any]) -> None:
    values = flat(cls())
    facts = run_facts(values, data_digest="ab", processes=1)
    noticed = set()
    for name in values:
        changed = run_facts(values | {name: "another"}, data_digest="ab", processes=1)
        if list_changes(facts, changed):
            noticed.add(name)
    assert set(values) - noticed == FREE & set(values)


def other(settings: Any, name: str, hint: Any) -> Any:
    """Another value of this setting."""
    value = getattr(settings, name)
    return not value if hint is bool else value / 2 + 0.125 if hint is float else value


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def step(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    net(torch.ones(1, 3)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (gan.make_optimizer, GanTrainingSettings()),
        (supervised.make_optimizer, ClassifierTrainingSettings()),
        (supervised.make_optimizer, ClassifierTrainingSettings(momentum=0.0)),
    ],
)
def test_every_setting_in_every_group(make: Any, settings: Any, tmp_path: Path) -> None:
    """A checkpoint of one setting, loaded with another: the optimizer's groups are those that were asked for, and its
    next step is that of an optimizer to which the moments alone were copied."""
    base = network()
    optimizer = make(base, settings)
    step(base, optimizer)
    path = save_checkpoint(tmp_path, "best", {}, {"optimizer": optimizer}, {"step": 1})
    hints, differing = get_type_hints(type(settings)), set()
    for f in fields(settings):
        try:
            changed = replace(settings, **{f.name: other(settings, f.name, hints[f.name])})
        except UserError:
            continue  # not on its own, as nesterov without momentum
        nets = [network(), network()]
        for net in nets:
            net.load_state_dict(base.state_dict())
        loaded, by_hand = (make(net, changed) for net in nets)
        load_optimizer(path, "optimizer", loaded)
        loaded.param_groups[0]["lr"] = changed.lr  # as both trainings do before each step
        for mine, saved in zip(nets[1].parameters(), base.parameters(), strict=True):
            for key, value in optimizer.state[saved].items():
                by_hand.state[mine][key] = value.clone()
        settings_of = [{k: v for k, v in o.param_groups[0].items() if k != "params"} for o in (loaded, by_hand)]
        assert settings_of[0] == settings_of[1], f.name
        if settings_of[0] != {k: v for k, v in optimizer.param_groups[0].items() if k != "params"}:
            differing.add(f.name)
        step(nets[0], loaded)
        step(nets[1], by_hand)
        for a, b in zip(*(net.parameters() for net in nets), strict=True):
            assert torch.equal(a, b), f.name
    wanted = {"lr", "beta1", "beta2"} if make is gan.make_optimizer else {"lr", "momentum", "nesterov", "weight_decay"}
    assert differing == (wanted if getattr(settings, "momentum", 1) else wanted - {"nesterov"})


def test_momentum_that_ends_and_comes_back(tmp_path: Path) -> None:
    """Without momentum nothing is kept that a later momentum would take up."""
    net = network()
    optimizer = supervised.make_optimizer(net, ClassifierTrainingSettings())
    step(net, optimizer)
    path = save_checkpoint(tmp_path, "best", {}, {"optimizer": optimizer}, {"step": 1})
    without = supervised.make_optimizer(net, ClassifierTrainingSettings(momentum=0.0))
    load_optimizer(path, "optimizer", without)
    assert not any("momentum_buffer" in state for state in without.state.values())
    path = save_checkpoint(tmp_path, "best", {}, {"optimizer": without}, {"step": 2})
    again = supervised.make_optimizer(net, ClassifierTrainingSettings())
    load_optimizer(path, "optimizer", again)
    assert all(not again.state[p]["momentum_buffer"].any() for p in net.parameters())


@pytest.mark.slow(3)
def test_the_program_goes_on_with_another_weight_decay(tmp_path: Path) -> None:
    outs = [tmp_path / name / "run" for name in ("same", "other")]
    flags = [*CLASSIFIER, "--checkpoint-every", "0", "--out"]
    jobs = [Job("classifier", [*flags, str(out)], stop_at=2) for out in outs]
    more = ["--weight-decay", "0.5", "--allow-changed"]
    for out, extra in zip(outs, ([], more), strict=True):
        jobs.append(Job("classifier", [*flags, str(out), "--resume", *extra]))
    assert [done.code for done in run_all(jobs)] == [-9, -9, 0, 0]
    last = [out / "checkpoints/step-00000012" for out in outs]
    groups = [torch.load(path / "optimizer.pt", weights_only=True)["param_groups"][0] for path in last]
    assert [group["weight_decay"] for group in groups] == [5e-4, 0.5]
    digests = [json.loads((path / "manifest.json").read_text())["classifier.safetensors"] for path in last]
    assert digests[0] != digests[1]


@pytest.mark.parametrize("by", ["flag", "launcher"])
def test_fp16_on_a_cpu_is_refused(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    if by == "launcher":
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    device = DeviceSettings(mixed_precision="fp16" if by == "flag" else None)
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        make_accelerator(RunSettings(), device, "unused")
